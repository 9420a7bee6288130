"""deploy/kit/release/notices.py: what strangers would see of a site that others reach."""

import textwrap

import pytest

from kit import env_files
from kit.project import facts
from kit.release import notices
from tests.kit.command.project.test_application import startproject

BY_DEFAULT = "DEBUG = os.getenv('SHOP_DEBUG', '1') == '1'"
SETTINGS = "import os\n{}\n"


@pytest.mark.parametrize(
    ("line", "own", "address", "expected"),
    [
        (
            "DEBUG = True",
            {},
            "0.0.0.0",
            'DEBUG") == "1" in the code (shop/settings.py:2, with import os), then make deploy',
        ),
        ("DEBUG = True", {}, "127.0.0.1", ""),
        (BY_DEFAULT, {}, "0.0.0.0", "set SHOP_DEBUG=False in .env.project, then make up"),
        (BY_DEFAULT, {"SHOP_DEBUG": "0"}, "0.0.0.0", ""),
        ("DEBUG = os.getenv('SHOP_DEBUG') == '1'", {}, "0.0.0.0", ""),
        ("DEBUG = False", {}, "0.0.0.0", ""),
    ],
)
def test_debug_that_strangers_would_see(tmp_path, monkeypatch, line, own, address, expected):
    for name, text in (startproject() | {"shop/settings.py": SETTINGS.format(line)}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(textwrap.dedent(text).lstrip())
    monkeypatch.setattr(env_files, "read_project", lambda _: own)
    said = list(notices.exposure(facts.look(tmp_path, {}), {"HTTP_ADDRESS": address}))
    assert len(said) == bool(expected)
    for each in said:
        assert each.startswith("DEBUG is on, and others reach the site: pages show code and settings. Mend: ")
        assert each.endswith(expected)
