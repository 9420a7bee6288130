"""deploy/kit/project/programs.py: an application whose own command prepares it."""

import pytest

from kit.project import facts

OPTIONS = "import optparse\ndef main():\n    options = optparse.OptionParser().parse_args()\n    app.run()\n"
APP = "from flask import Flask\napp = Flask(__name__)\n"
SCRIPTS = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['flask']\n[project.scripts]\nshop = '{}'\n"


@pytest.mark.parametrize(
    ("target", "text", "is_said"),
    [
        ("shop.web:main", OPTIONS, True),
        ("shop.web:main", "def main():\n    app.run()\n", False),
        ("shop.admin:main", OPTIONS, False),
    ],
)
def test_options_that_are_not_read_are_said(project, target, text, is_said):
    files = {"pyproject.toml": SCRIPTS.format(target), "shop/__init__.py": "", "shop/web.py": APP + text}
    notes = facts.look(project(files), {}).application.notes
    assert len(notes) == is_said
    assert all(
        note.startswith("the command shop sets what its options say before it serves (shop/web.py:5)") for note in notes
    )
