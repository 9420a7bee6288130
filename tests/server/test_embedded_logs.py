"""`ropewalk.Server`: its logs go where the program wants them, and each server has its own."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ropewalk
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET

WaitFor = Callable[[Callable[[], object], str], None]


class Messages(list[tuple[str, str]]):
    """What an error log has been given."""

    def take(self, level: str, text: str) -> None:
        self.append((level, text))


def failing(environ: Any, start_response: Any) -> list[bytes]:
    environ["wsgi.errors"].write("said to wsgi.errors\n")
    raise ValueError("a fault")


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, list[logging.LogRecord]]]:
    """A logger of its own, and its records."""
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    made, handler = logging.getLogger("shop.server"), Handler()
    made.setLevel(logging.INFO)
    made.propagate = False
    made.addHandler(handler)
    yield made, records
    made.removeHandler(handler)


def test_a_function_gets_the_messages(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    messages = Messages()
    talk.ask(failing, error_log=messages.take)
    assert messages[0] == ("error", "said to wsgi.errors")
    level, text = messages[1]
    assert level == "error"
    assert text.endswith("\nValueError: a fault")
    assert "Traceback (most recent call last):" in text
    assert capfd.readouterr().err == ""


def test_names_of_the_server_are_in_its_lines(talk: Talk) -> None:
    messages, lines = Messages(), []
    names = {"node_name": "node-2", "replica_name": "shop.3"}
    talk.ask(
        failing,
        error_log=messages.take,
        error_log_format="json",
        access_log=lines.append,
        access_log_format="json",
        **names,
    )
    for line in (messages[1][1], lines[0]):
        found = json.loads(line)
        assert (found["node"], found["replica"]) == ("node-2", "shop.3")


def test_a_function_gets_json_if_that_is_the_format(talk: Talk) -> None:
    messages = Messages()
    talk.ask(failing, error_log=messages.take, error_log_format="json")
    assert json.loads(messages[1][1])["exception"] == "ValueError: a fault"


@pytest.mark.parametrize(("level", "expected"), [("info", []), ("debug", ["debug"])])
def test_a_function_gets_what_the_level_lets_through(talk: Talk, level: Any, expected: list[str]) -> None:
    messages = Messages()
    server = talk.serve(answering(), error_log=messages.take, log_level=level)
    with pytest.MonkeyPatch.context() as patched:

        def application(environ: Any, start_response: Any) -> list[bytes]:
            get_logger().debug("of a thread that serves")
            start_response("200 OK", [])
            return []

        patched.setattr(server, "application", application, raising=True)
        client = talk.connect(server)
        client.send(GET)
        client.read_all()
    assert [level for level, _ in messages] == expected


def test_a_logger_gets_them_with_the_exception(
    talk: Talk, logger: tuple[logging.Logger, list[logging.LogRecord]]
) -> None:
    talk.ask(failing, error_log=logger[0])
    written, raised = logger[1]
    assert (written.levelno, written.getMessage()) == (logging.ERROR, "said to wsgi.errors")
    assert raised.exc_info is not None
    assert str(raised.exc_info[1]) == "a fault"
    assert "a fault" not in raised.getMessage()


def test_a_logger_decides_about_levels_itself(
    talk: Talk, logger: tuple[logging.Logger, list[logging.LogRecord]]
) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        get_logger().debug("100% of the thread")
        start_response("200 OK", [])
        return []

    server = talk.serve(application, error_log=logging.LoggerAdapter(logger[0], {}))
    for level, count in ((logging.INFO, 0), (logging.DEBUG, 1)):
        logger[0].setLevel(level)
        client = talk.connect(server)
        client.send(GET)
        client.read_all()
        assert [record.getMessage() for record in logger[1]] == ["100% of the thread"] * count


def test_a_log_that_raises_costs_messages_and_no_request(talk: Talk, capfd: pytest.CaptureFixture[str]) -> None:
    messages = Messages()

    def take(level: str, text: str) -> None:
        if not messages and "said" in text:
            messages.append(("", "raised"))
            raise OSError("the disk is full")
        messages.take(level, text)

    assert talk.ask(failing, error_log=take).startswith(b"HTTP/1.1 500 ")
    assert messages[1] == ("warning", "1 log message was lost (the program's log raised OSError)")


def test_a_logger_that_writes_to_wsgi_errors_does_not_end_in_itself(
    talk: Talk, capfd: pytest.CaptureFixture[str]
) -> None:
    """As that of a Flask application."""
    inside: list[Any] = []
    made = logging.Logger("flask")

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            inside[0].write(f"formatted: {record.getMessage()}\n")

    made.addHandler(Handler())

    def application(environ: Any, start_response: Any) -> list[bytes]:
        inside.append(environ["wsgi.errors"])
        environ["wsgi.errors"].write("said\n")
        start_response("200 OK", [])
        return []

    talk.ask(application, error_log=made)
    assert capfd.readouterr().err == "formatted: said\n"


def test_lines_of_requests_go_to_a_function(talk: Talk, wait_for: WaitFor) -> None:
    lines: list[str] = []
    talk.ask(answering([b"12345"]), access_log=lines.append, access_log_format="%(r)s %(s)s %(B)s")
    wait_for(lambda: lines, "the line")
    assert lines == ["GET / HTTP/1.1 200 5"]


def test_lines_of_requests_go_to_a_logger(
    talk: Talk, logger: tuple[logging.Logger, list[logging.LogRecord]], wait_for: WaitFor
) -> None:
    talk.ask(answering(), GET.replace(b" / ", b" /%25d "), access_logfile=logger[0], access_log_format="%(r)s %(s)s")
    wait_for(lambda: logger[1], "the line")
    assert [(record.levelno, record.getMessage()) for record in logger[1]] == [(logging.INFO, "GET /%25d HTTP/1.1 200")]


def test_a_stream_gets_both(talk: Talk, wait_for: WaitFor) -> None:
    stream = io.StringIO()
    talk.ask(failing, error_log=stream, access_log=stream, access_log_format="%(s)s")
    wait_for(lambda: stream.getvalue().endswith("\n500\n"), "the line")
    written, head, *_, raised, line = stream.getvalue().splitlines()
    assert written == "said to wsgi.errors"
    assert re.match(r"\[\d{4}-.*\] \[\d+\] \[ERROR\] ", head)
    assert (raised, line) == ("ValueError: a fault", "500")


def test_a_line_that_the_program_does_not_take_is_reported(talk: Talk, wait_for: WaitFor) -> None:
    messages = Messages()

    def take(line: str) -> None:
        raise ValueError("no more lines")

    response = talk.ask(answering(), access_log=take, error_log=messages.take)
    assert response.startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: messages, "the report")
    assert "cannot write a line of the access log" in messages[0][1]


def test_two_servers_have_a_log_each(talk: Talk, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = Messages(), tmp_path / "second.log"
    servers = [talk.serve(failing, **arguments) for arguments in ({"error_log": first.take}, {"error_log": second}, {})]
    for server in (servers[0], servers[1], servers[1], servers[2]):
        client = talk.connect(server)
        client.send(GET)
        client.read_all()
    servers[1].stop()
    client = talk.connect(servers[0])
    client.send(GET)
    client.read_all()
    assert sum("a fault" in text for _, text in first) == 2
    assert second.read_text().count("\nValueError: a fault\n") == 2
    assert capfd.readouterr().err.count("\nValueError: a fault\n") == 1


def test_the_watchdog_and_a_stop_log_there_too(talk: Talk) -> None:
    messages = Messages()
    server = talk.serve(answering(), error_log=messages.take, timeout=0.1)
    go_on = threading.Event()

    def slow(environ: Any, start_response: Any) -> list[bytes]:
        assert go_on.wait(20)
        start_response("200 OK", [])
        return []

    server.application = slow
    client = talk.connect(server)
    client.send(GET)
    assert client.read_all().startswith(b"HTTP/1.1 504 ")
    go_on.set()
    assert any("Worker timeout" in text for _, text in messages)


@pytest.mark.parametrize("name", ["error_log", "error_logfile", "access_log", "access_logfile"])
def test_what_is_no_log_is_refused(name: str) -> None:
    arguments: Any = {name: 5}
    with pytest.raises(
        ConfigError, match=f"{name}=.*: must be the name of a file, a function, a logger or a text stream"
    ):
        ropewalk.Server(answering(), bind="127.0.0.1:0", **arguments)


def test_a_log_given_twice_is_a_type_error() -> None:
    for second in ("-", print):
        with pytest.raises(TypeError, match="error_logfile and error_log are the same setting"):
            ropewalk.Server(answering(), error_log=print, error_logfile=second)
