"""CPython's own tests of wsgiref's server, `test.test_wsgiref.IntegrationTests`, on ropewalk.simple_server.

Theirs give a request to a server without a socket and compare every byte of the response. Here the request comes
through a socket, and what docs/development.md names as different is made alike first, on both sides: `as_sent_to_ours`
and `as_of_the_original`. What then fails would be a difference that the page does not have.
"""

import contextlib
import importlib
import io
import re
import socket
import sys
import unittest
from http import HTTPStatus

import pytest

import ropewalk.simple_server as ours

pytestmark = pytest.mark.stdlib_tests

TESTS = (
    "test_bytes_validation",
    "test_cp1252_url",
    "test_environ",
    "test_interrupted_write",
    "test_plain_hello",
    "test_request_length",
    "test_simple_validation_error",
    "test_status_validation_errors",
    "test_validated_hello",
    "test_wsgi_input",
)
"""Those of Python 3.11 to 3.14. The other classes of the module test wsgiref.util, headers and handlers."""

DIFFERENT = {"test_status_validation_errors": 3}
"""Assertions that fail: a status may have an empty reason, as in HTTP, and of others the log has another message."""

OUR_ERROR = b"500 Internal Server Error\n"
THEIR_ERROR = b"A server error occurred.  Please contact the administrator."


@pytest.fixture
def theirs():
    with contextlib.suppress(ImportError):
        return importlib.import_module("test.test_wsgiref")


def as_sent_to_ours(request):
    """Lines that end as HTTP says, a head that has an end, and a target without octets that have to be encoded."""
    head = re.sub(rb"[\x80-\xff]", lambda octet: b"%%%02X" % octet[0][0], request.rstrip(b"\n"))
    return head.replace(b"\n", b"\r\n") + b"\r\n\r\n"


def as_of_the_original(response):
    head, _, content = response.partition(b"\r\n\r\n")
    status_line, *fields = head.split(b"\r\n")
    version = f"{sys.implementation.name}/{sys.version.split()[0]}".replace("cpython", "CPython")
    fields = [field for field in fields if not field.startswith((b"Server: ", b"Connection: close"))]
    fields.insert(0, f"Server: WSGIServer/0.2 {version}".encode())
    if b" 500 " in status_line:
        assert content == OUR_ERROR
        content = THEIR_ERROR
    status_line = re.sub(rb"^HTTP/1.1 414 .*", f"HTTP/1.0 414 {HTTPStatus(414).phrase}".encode(), status_line)
    status_line = status_line.replace(b"HTTP/1.1", b"HTTP/1.0")
    content = content.replace(b"Python test, Python test 2", b"Python test,Python test 2")
    return b"\r\n".join([status_line, *fields]) + b"\r\n\r\n" + content


def run_amock(app, data):
    """In place of theirs: the response to a request, and what went to standard error."""
    with (
        contextlib.redirect_stderr(io.StringIO()) as errors,
        ours.make_server("127.0.0.1", 0, app) as server,
        socket.create_connection(server.server_address, timeout=20) as client,
    ):
        client.sendall(as_sent_to_ours(data))
        server.handle_request()
        response = b""
        while part := client.recv(65536):
            response += part
    return as_of_the_original(response), errors.getvalue()


def test_the_module_has_these_tests(theirs):
    assert set(unittest.TestLoader().getTestCaseNames(theirs.IntegrationTests)) == set(TESTS)


@pytest.mark.parametrize("name", TESTS)
def test_as_cpython_tests_it(theirs, name, monkeypatch):
    def amock(app=theirs.hello_app, data=b"GET / HTTP/1.0\n\n"):
        return run_amock(app, data)

    monkeypatch.setattr(theirs, "run_amock", amock)
    monkeypatch.setattr(theirs, "make_server", ours.make_server)
    monkeypatch.setattr(theirs, "WSGIRequestHandler", ours.WSGIRequestHandler)
    result = unittest.TestResult()
    theirs.IntegrationTests(name).run(result)
    traces = [trace for _, trace in result.failures + result.errors]
    assert len(traces) == DIFFERENT.get(name, 0)
    assert (result.testsRun, result.skipped) == (1, [])
