"""Each setting of gunicorn is explained: by its page, in a file and on the command line.

Held to the list of the gunicorn that is installed, so that what a new one brings is not passed over in silence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS

from ropewalk.config.gunicorn_unsupported import FLAGS, UNSUPPORTED
from ropewalk.config.hook_signatures import ARGUMENTS
from ropewalk.config.load import load_settings
from ropewalk.config.settings import all_settings
from ropewalk.errors import ConfigError
from tests.helpers.paths import REPOSITORY

PAGE = (REPOSITORY / "docs/migrating-from-gunicorn.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", PAGE, re.MULTILINE))
THEIRS = {setting.name: setting for setting in KNOWN_SETTINGS}
OURS = {
    name
    for setting in all_settings()
    if not setting.declaration.is_flag_only
    for name in (setting.name, setting.python_key)
}
OUR_FLAGS = {flag for setting in all_settings() for flag in setting.declaration.flags}

EACH = pytest.mark.parametrize("name", sorted(THEIRS))


@EACH
def test_each_setting_of_gunicorns_is_one_of_ours_or_a_hook_or_said_to_be_neither(name: str) -> None:
    assert [name in OURS, name in ARGUMENTS, name in UNSUPPORTED].count(True) == 1


@EACH
def test_each_of_its_options_is_one_of_ours_or_said_to_be_none(name: str) -> None:
    for flag in THEIRS[name].cli or ():
        assert flag in OUR_FLAGS or FLAGS[flag] == name


@EACH
def test_each_has_its_row_on_the_page(name: str) -> None:
    row = ROWS[name]
    if name in ("check_config", "print_config"):
        assert row == "same; command line only"
    elif name in UNSUPPORTED:
        assert row == f"no: {UNSUPPORTED[name]}"
    else:
        assert row.startswith("a [hook](hooks.md)" if name in ARGUMENTS else ("same", "a path"))


def test_every_unsupported_name_is_one_of_gunicorns() -> None:
    assert set(ROWS) == set(THEIRS)
    assert set(UNSUPPORTED) <= set(THEIRS)
    assert not set(FLAGS) & OUR_FLAGS - {"--check-config", "--print-config"}


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_a_name_of_a_file_that_has_no_effect_is_reported_with_what_there_is_instead(tmp_path: Path, name: str) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(f"{name} = 'another value'\n")
    assert load_settings(["-c", str(path)], {}).warnings == (f"{path}: {name} has no effect: {UNSUPPORTED[name]}",)


@pytest.mark.parametrize("name", sorted(name for name in UNSUPPORTED if not callable(THEIRS[name].default)))
@pytest.mark.parametrize("attribute", ["default", "value"])  # as it is documented, and as gunicorn reads it
def test_a_name_of_a_file_with_gunicorns_default_is_no_warning(tmp_path: Path, name: str, attribute: str) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(f"from gunicorn.config import Config as _C\n{name} = _C().settings[{name!r}].{attribute}\n")
    assert load_settings(["-c", str(path)], {}).warnings == ()


@pytest.mark.parametrize("line", ["sendfile = False", "suppress_ragged_eofs = False", "worker_class = 'gthread'"])
def test_a_name_of_a_file_that_differs_from_gunicorns_default_is_a_warning(tmp_path: Path, line: str) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(f"{line}\n")
    assert len(load_settings(["-c", str(path)], {}).warnings) == 1


@pytest.mark.parametrize("key", ["worker-class", "worker_class"])
def test_unsupported_name_in_a_toml_file_is_an_error(tmp_path: Path, key: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(f"{key} = 'gthread'\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(["-c", str(path)], {})
    said = UNSUPPORTED["worker_class"]
    assert str(caught.value) == f"{key} (from {path}): is not supported: {said}"


def test_unsupported_name_in_a_variable_is_reported() -> None:
    [warning] = load_settings([], {"ROPEWALK_WORKER_CLASS": "gthread"}).warnings
    assert warning == f"ROPEWALK_WORKER_CLASS has no effect: {UNSUPPORTED['worker_class']}"


@pytest.mark.parametrize("flag", sorted(set(FLAGS) - OUR_FLAGS))
def test_unsupported_option_is_reported_with_what_to_use_instead(flag: str) -> None:
    value: Any
    for value in ([flag, "value"], [f"{flag}=value" if flag.startswith("--") else f"{flag}value"], [flag]):
        with pytest.raises(ConfigError) as caught:
            load_settings([*value, "shop"], {})
        line = str(caught.value)
        assert line == f"{flag}: is not supported: {UNSUPPORTED[FLAGS[flag]]}"
        assert line.isprintable()


@pytest.mark.parametrize("value", ["no", "0", "False", "off"])
def test_sendfile_switched_off_by_a_variable_is_reported_as_ignored(value: str) -> None:
    assert load_settings([], {"SENDFILE": value}).warnings == (
        f"SENDFILE={value} has no effect: {UNSUPPORTED['sendfile']}",
    )


@pytest.mark.parametrize("environ", [{}, {"SENDFILE": "1"}, {"SENDFILE": "Yes"}])
def test_sendfile_that_is_on_is_no_warning(environ: dict[str, str]) -> None:
    assert load_settings([], environ).warnings == ()


def test_implicit_gunicorn_file_is_reported_as_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings([], {"GUNICORN_CMD_ARGS": ""}).warnings == ()
    path = tmp_path / "gunicorn.conf.py"
    path.touch()
    [variable, file] = load_settings([], {"GUNICORN_CMD_ARGS": "--workers 4"}).warnings
    assert variable.startswith("GUNICORN_CMD_ARGS has no effect: ")
    assert file.startswith("gunicorn.conf.py has no effect: ")
    assert load_settings(["-c", "gunicorn.conf.py"], {}).warnings == ()
