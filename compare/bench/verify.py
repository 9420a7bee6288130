"""Checks a server before it is timed: the scenario's request twice on one connection, pipelined if the scenario's are.

Each response must have the right status and content.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from html import escape

from bench.applications.page import ROWS, TITLE
from bench.files import FILE_MEBIBYTES, MEBIBYTE, STATIC_CONTENT, product
from bench.loads.wrk import BROWSER_FIELDS
from bench.scenarios import Scenario

HELLO = b"Hello, world!"
TIMEOUT = 10.0


def request_content(scenario: Scenario) -> bytes:
    """The content of a request, as wrk.lua sends it."""
    return b"0123456789abcdef" * (scenario.content_bytes // 16)


def request_fields(scenario: Scenario) -> dict[str, str]:
    """The fields of a request as wrk.lua sends them: the first of its browsers."""
    if not scenario.has_browser_fields:
        return {}
    lines = (BROWSER_FIELDS % (1, 1, 1, 1)).split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


def response_content(scenario: Scenario) -> bytes:
    """The content of a correct response."""
    greeting = {"message": "Hello, world!", "numbers": list(range(10)), "path": scenario.path}
    match scenario.application, scenario.path.rpartition("/")[2]:
        case "echo", _:
            return request_content(scenario)
        case "upload", _:
            content = request_content(scenario)
            return b"%d %s %s" % (len(content), content[:16], content[-16:])
        case "django_json", _:
            return json.dumps(greeting).encode()
        case "flask_app", "greeting":
            return json.dumps(greeting, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        case (("flask_app" | "django_page"), _):
            return page()
        case "django_sqlite", key:
            return json.dumps(product(int(key))).encode()
        case "static", _:
            return STATIC_CONTENT
        case "megabyte", "megabyte":
            return MEBIBYTE
        case "file", _:
            return MEBIBYTE * FILE_MEBIBYTES
        case "chunks", _:
            return b"x" * 64 * 1024
    return HELLO


def page() -> bytes:
    """The page of applications/page.py, as a template renders it."""
    rows = [[escape(row[name]) for name in ("number", "name", "price")] for row in ROWS]
    table = "".join(f"<tr><td>{number}</td><td>{name}</td><td>{price}</td></tr>\n" for number, name, price in rows)
    return f"<!doctype html>\n<title>{escape(TITLE)}</title>\n<table>\n{table}</table>\n<p>The end</p>".encode()


def check(scenario: Scenario, bind: str, authorities: list[str]) -> str:
    """Return what is wrong with a response, or an empty string. `authorities` are files of certificates, for TLS."""
    try:
        return _check_pipelined(scenario, bind) if scenario.pipelined > 1 else _check_twice(scenario, bind, authorities)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def _check_twice(scenario: Scenario, bind: str, authorities: list[str]) -> str:
    host, _, port = bind.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    if authorities:
        context = ssl.create_default_context(cafile=authorities[0])
        connection = http.client.HTTPSConnection(host, int(port), timeout=TIMEOUT, context=context)
    content = request_content(scenario)
    try:
        for _ in range(2):
            connection.request(
                "POST" if content else "GET", scenario.path, body=content or None, headers=request_fields(scenario)
            )
            response = connection.getresponse()
            fault = _fault(scenario, response.status, response.read())
            if fault:
                return fault
    finally:
        connection.close()
    return ""


def _check_pipelined(scenario: Scenario, bind: str) -> str:
    """All requests in one piece; the responses must come on the same connection, one after the other."""
    host, _, port = bind.rpartition(":")
    request = f"GET {scenario.path} HTTP/1.1\r\nHost: {bind}\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), TIMEOUT) as sock, sock.makefile("rb") as stream:
        for _ in range(2):
            sock.sendall(request * scenario.pipelined)
            for number in range(scenario.pipelined):
                try:
                    status_line = stream.readline().split()
                except TimeoutError:
                    status_line = []
                if len(status_line) < 2:
                    return f"{number} responses to {scenario.pipelined} pipelined requests"
                fields = http.client.parse_headers(stream)
                content = stream.read(int(fields["Content-Length"] or 0))
                fault = _fault(scenario, int(status_line[1]), content)
                if fault:
                    return fault
    return ""


def _fault(scenario: Scenario, status: int, found: bytes) -> str:
    expected = response_content(scenario)
    if status != 200:
        return f"status {status} instead of 200"
    if len(found) != len(expected):
        return f"{len(found)} bytes instead of {len(expected)}"
    return "" if found == expected else "wrong content"
