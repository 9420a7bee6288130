"""Where the traceback of an application's error begins."""

from __future__ import annotations

import re
import traceback
from typing import Any

import pytest

import ropewalk
from ropewalk.debugging.middleware import Debugger
from ropewalk.debugging.origin import Guard
from ropewalk.wsgi.application_errors import begin_in_application
from tests.helpers.http_client import GET, Client


def raising(environ: Any, start_response: Any) -> Any:
    raise ValueError("planted")


def raising_late(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return (1 / 0 for _ in "x")


def misusing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])(b"begun")
    start_response("200 OK", [], 5)


class FailingToClose(list[bytes]):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return self

    def close(self) -> None:
        raise ValueError("planted")


def refused(application: Any) -> Any:
    """The application with --debug, for a client that gets no page."""
    return Debugger(Guard([], [], is_proxy_allowed=False), None, shows_locals=True).watching(application)


@pytest.mark.parametrize(
    "application",
    [raising, raising_late, misusing, FailingToClose(), refused(raising), refused(raising_late)],
    ids=["called", "late", "misusing", "closed", "debug", "debug late"],
)
def test_log_begins_with_the_application(application: Any) -> None:
    messages: list[str] = []
    with ropewalk.Server(
        application, bind="127.0.0.1:0", error_log=lambda level, text: messages.append(text)
    ) as server:
        client = Client(server.address)
        client.send(GET)
        client.read_all()
        client.sock.close()
    files = re.findall(r'^ *File "(.+?)", line', "\n".join(messages), re.MULTILINE)
    assert files
    assert files[0] == __file__


def test_frames_of_the_server_alone_stay() -> None:
    with pytest.raises(AttributeError) as raised:
        begin_in_application(None)  # type: ignore[arg-type]  # raises in the server
    error = raised.value.with_traceback(raised.tb.tb_next)
    before = traceback.format_tb(error.__traceback__)
    begin_in_application(error)
    assert traceback.format_tb(error.__traceback__) == before != []


def test_module_of_a_program_may_be_called_alike() -> None:
    scope: dict[str, Any] = {"__name__": "ropewalk_of_ours"}
    exec(compile("def fail(): 1 / 0", "ours.py", "exec"), scope)
    with pytest.raises(ZeroDivisionError) as raised:
        scope["fail"]()
    error = raised.value.with_traceback(raised.tb.tb_next)
    begin_in_application(error)
    assert 'File "ours.py"' in traceback.format_tb(error.__traceback__)[0]
