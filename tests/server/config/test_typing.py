"""Type checkers and editors know the settings: of `Settings`, and as arguments of `ropewalk.Server` and `serve`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from mypy import api

from ropewalk.config import embedded_settings, generate_types
from ropewalk.config.embedded_settings import EmbeddedSettings
from ropewalk.config.settings import Settings, all_settings
from ropewalk.errors import ConfigError
from tests.helpers.paths import REPOSITORY

PROGRAM = """\
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

import ropewalk
from ropewalk.config.settings import Settings


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


settings = Settings(workers=2, bind=("127.0.0.1:0",), unix_mode=None, log_level="debug")
workers: int = settings.workers
Settings(worker=2)  # error
Settings(workers="2")  # error
Settings(log_level="loud")  # error
settings.workers = 3  # error
if settings.request_id == "answer":  # error
    pass

with ropewalk.Server(application, bind="127.0.0.1:0", threads=4, timeout=1, access_log=Path("log")) as server:
    print(server.url)
ropewalk.Server(application, bind=["127.0.0.1:0"], limit_request_body="20M", access_logfile="-", log_level="debug")
ropewalk.serve(application, unix_mode=0o600, static=["/static/=static"], env="A=1", timeout_for="/a=1")
ropewalk.Server(application, thread=4)  # error
ropewalk.Server(application, threads="4")  # error
ropewalk.Server(application, workers=2)  # error
ropewalk.Server(application, log_level="loud")  # error
ropewalk.serve(application, bind=8000)  # error
ropewalk.serve(application, user="nobody")  # error
ropewalk.serve("application")  # error
"""


def test_a_type_checker_accepts_settings_and_rejects_wrong_names_and_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    monkeypatch.setenv("MYPYPATH", str(REPOSITORY / "server"))
    monkeypatch.chdir(tmp_path)
    cache = REPOSITORY / ".mypy_cache/test_typing"
    output, fault, _ = api.run(["--strict", "--config-file=", "--cache-dir", str(cache), str(program)])
    assert fault == ""
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error: ", output, re.MULTILINE)}
    expected = {number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.endswith("# error")}
    assert found == expected, output


def test_the_arguments_are_those_of_the_settings_table() -> None:
    assert Path(embedded_settings.__file__).read_text() == generate_types.module(), "run: make docs"
    embedded = {setting.name for setting in all_settings() if not setting.declaration.not_embedded}
    assert embedded < EmbeddedSettings.__annotations__.keys()
    assert EmbeddedSettings.__annotations__.keys() - embedded == {"access_logfile", "access_logformat", "error_logfile"}


def test_the_literals_of_a_setting_are_its_choices() -> None:
    hints = get_type_hints(Settings)
    literals = {setting: get_args(hints[setting.name]) for setting in all_settings()}
    choices = {setting: names for setting, names in literals.items() if names and isinstance(names[0], str)}
    assert len(choices) >= 6
    for setting, names in choices.items():
        assert [setting.read(name, "") for name in names] == list(names)
        with pytest.raises(ConfigError) as caught:
            setting.read("nonsense", "")
        assert caught.value.allowed == f"must be one of {', '.join(names)}"
