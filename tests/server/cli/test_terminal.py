"""Which defaults a terminal has, and what the lines of a start say."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ropewalk.cli.stdio import Terminals
from ropewalk.cli.terminal import start_lines, with_defaults
from ropewalk.config.load import load_settings
from ropewalk.config.settings import COMBINED_FORMAT, make_settings
from ropewalk.net.listeners.open import close_listeners, open_listeners

BOTH, NONE = Terminals(True, True), Terminals(False, False)


def logs(terminals: Terminals, *arguments: str, **environ: str) -> tuple[str, str, str]:
    """The access log, its format, and the format of messages."""
    settings = with_defaults(load_settings([*arguments, "shop"], environ), terminals).settings
    return settings.access_log, settings.access_log_format, settings.error_log_format


def test_in_pipes_and_files_nothing_changes() -> None:
    loaded = load_settings(["shop"], {})
    assert with_defaults(loaded, NONE) == loaded
    assert logs(NONE) == ("", COMBINED_FORMAT, "plain")


def test_on_a_terminal_both_logs_are_for_a_person() -> None:
    assert logs(BOTH) == ("-", "terminal", "terminal")


def test_each_stream_counts_on_its_own() -> None:
    assert logs(Terminals(output=True, error=False)) == ("-", "terminal", "plain")
    assert logs(Terminals(output=False, error=True)) == ("", COMBINED_FORMAT, "terminal")


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        (["--access-logfile", ""], {}, ("", COMBINED_FORMAT, "terminal")),
        (["--access-logfile", "-"], {}, ("-", "terminal", "terminal")),
        (["--access-logfile", "a.log"], {}, ("a.log", COMBINED_FORMAT, "terminal")),
        (["--access-logformat", "%(s)s"], {}, ("-", "%(s)s", "terminal")),
        (["--error-log-format", "plain"], {}, ("-", "terminal", "plain")),
        (["--error-logfile", "e.log"], {}, ("-", "terminal", "plain")),
        ([], {"ROPEWALK_ACCESS_LOGFILE": ""}, ("", COMBINED_FORMAT, "terminal")),
        ([], {"ROPEWALK_ERROR_LOG_FORMAT": "json"}, ("-", "terminal", "json")),
    ],
)
def test_what_is_set_stays(arguments: list[str], environ: dict[str, str], expected: tuple[str, str, str]) -> None:
    assert logs(BOTH, *arguments, **environ) == expected


def test_configuration_that_is_printed_is_that_of_everywhere() -> None:
    assert logs(BOTH, "--print-config") == ("", COMBINED_FORMAT, "plain")


def shown(*binds: str, **settings: object) -> str:
    listeners = open_listeners(binds, backlog=1)
    try:
        return start_lines(make_settings(wsgi_app="shop:app", **settings), listeners)
    finally:
        close_listeners(listeners)


@pytest.fixture(autouse=True)
def no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def test_lines_say_what_is_served_where_and_how(tmp_path: Path) -> None:
    text = shown("127.0.0.1:0", f"unix:{tmp_path}/shop.sock", workers=2, threads=4)
    assert "  URL          http://127.0.0.1:" in text
    assert f"\n               unix:{tmp_path}/shop.sock\n" in text
    assert "  Application  shop:app\n" in text
    assert "  Processes    2, with up to 4 threads each\n" in text
    assert "  Mode         production" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "production: code is not reloaded, and clients see no details of errors"),
        ({"reload": True}, "development: changed code is reloaded, and clients see no details of errors"),
        ({"debug": True}, "development: code is not reloaded, and an error shows its page (--debug)"),
        (
            {"reload": True, "debug": True},
            "development: changed code is reloaded, and an error shows its page (--debug)",
        ),
    ],
)
def test_mode_says_what_happens_to_code_and_errors(settings: dict[str, bool], mode: str) -> None:
    assert f"  Mode         {mode}\n" in shown("127.0.0.1:0", **settings)


def test_address_of_every_network_is_one_that_a_browser_can_open() -> None:
    text = shown("0.0.0.0:0")
    port = text.partition("localhost:")[2].partition(" ")[0]
    assert int(port) > 0
    assert "0.0.0.0" not in text
    assert shown("[::]:0").count("localhost:") == 1


def test_with_a_certificate_the_url_is_https() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert "https://127.0.0.1:" in start_lines(make_settings(wsgi_app="shop", certfile="x.pem"), [sock])
