"""The access log as JSON."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from ropewalk.logs.access_format import compile_format
from ropewalk.logs.access_log import AccessLog
from ropewalk.logs.access_record import AccessRecord
from ropewalk.logs.names import Names

ENVIRON = {
    "REMOTE_ADDR": "192.0.2.7",
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/shop?q=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "https",
    "HTTP_HOST": "example.org",
    "HTTP_USER_AGENT": 'a "b"\\\r\n\x7f\xe9',
}


def line(environ: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    record = AccessRecord(environ, "200 OK", [], 5, 0.25, True)
    for name, value in more.items():
        setattr(record, name, value)
    text = compile_format("json")(record)
    return text, json.loads(text)


def test_a_line_holds_the_request_and_where_the_time_went() -> None:
    text, found = line(ENVIRON, queue=0.5, application=0.2, request_id="one-2")
    assert text.isascii()
    assert text.isprintable()
    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {
        "request_id": "one-2",
        "client": "192.0.2.7",
        "method": "GET",
        "target": "/shop?q=1",
        "protocol": "HTTP/1.1",
        "scheme": "https",
        "host": "example.org",
        "user_agent": ENVIRON["HTTP_USER_AGENT"],
        "status": 200,
        "bytes": 5,
        "queue": 0.5,
        "application": 0.2,
        "sending": 0.05,
        "seconds": 0.25,
        "pid": os.getpid(),
    }


def test_what_is_not_known_is_left_out() -> None:
    _, found = line({"REMOTE_ADDR": ""}, status="400 Bad Request")
    assert set(found) == {"time", "status", "bytes", "seconds", "pid"}
    assert found["status"] == 400


def test_an_aborted_response_is_marked() -> None:
    assert line(ENVIRON, is_complete=False)[1]["aborted"] is True


def test_names_are_in_each_line(tmp_path: Path) -> None:
    names = Names("node-2", "shop.3")
    found = json.loads(compile_format("json", names=names)(AccessRecord({}, "200 OK", [], 5, 0.25, True)))
    assert (found["node"], found["replica"]) == names
    log = AccessLog(str(tmp_path / "access.log"), "json", Names(replica="shop.3"))
    log.text("of the application")
    log.close()
    message = json.loads((tmp_path / "access.log").read_text())
    assert (message["replica"], "node" in message) == ("shop.3", False)
