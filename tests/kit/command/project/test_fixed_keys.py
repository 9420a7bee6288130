"""deploy/kit/project/fixed_keys.py: a secret key in the code of Flask and others."""

import pytest

from kit.project import fixed_keys
from kit.project.reading import modules


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("app.secret_key = 'dev'", 1),
        ("x = 1\napp.config['SECRET_KEY'] = b'dev'", 2),
        ("app.config.from_mapping(\n    SECRET_KEY='dev',\n)", 2),
        ("class Config:\n    SECRET_KEY = 'dev'", 2),
        ("app.secret_key = os.environ['KEY']", 0),
        ("app.secret_key = os.environ.get('KEY', 'dev')", 0),
        ("SECRET_KEY = ''", 0),
        ("def (", 0),
    ],
)
def test_key_that_is_a_text_is_found(project, text, line):
    folder = project({"app.py": f"{text}\n"})
    assert fixed_keys.find(modules(folder, 3)) == ((folder / "app.py", line) if line else None)
