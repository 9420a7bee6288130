"""The classes that stand for those of `django.core.servers.basehttp`: what a program passes them."""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn

import pytest
from django.core.servers import basehttp
from django.test.testcases import QuietWSGIRequestHandler

from ropewalk.django import server as ours

BOTH = pytest.mark.parametrize("module", [basehttp, ours], ids=["django", "ropewalk"])


def hello(environ, start_response):
    status = {"/404": "404 Not Found", "/503": "503 Service Unavailable"}.get(environ["PATH_INFO"], "200 OK")
    start_response(status, [("Content-Length", "5")])
    return [b"hello"]


@contextmanager
def serving(server: ours.WSGIServer) -> Iterator[None]:
    server.set_app(hello)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(server, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


@BOTH
def test_access_lines_have_the_level_of_their_status(module, caplog):
    caplog.set_level(logging.INFO, "django.server")
    server = module.WSGIServer(("127.0.0.1", 0), basehttp.WSGIRequestHandler)
    with serving(server):
        for path in ("/", "/404", "/503"):
            assert fetch(server, path) == b"hello"
    lines = [(record.levelname, record.getMessage(), record.status_code) for record in caplog.records]
    assert lines == [
        ("INFO", '"GET / HTTP/1.1" 200 5', 200),
        ("WARNING", '"GET /404 HTTP/1.1" 404 5', 404),
        ("ERROR", '"GET /503 HTTP/1.1" 503 5', 503),
    ]
    assert all(record.server_time for record in caplog.records)


@BOTH
def test_quiet_handler_of_django_s_tests_writes_nothing(module, caplog):
    caplog.set_level(logging.INFO, "django.server")
    server = module.WSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    with serving(server):
        assert fetch(server) == b"hello"
    assert caplog.records == []


@BOTH
def test_handler_of_the_program_s_own(module):
    seen = []

    class Handler(basehttp.WSGIRequestHandler):
        def get_environ(self):
            return {**super().get_environ(), "PATH_INFO": "/404"}

        def log_message(self, format, *arguments):
            seen.append((self.client_address[0], format % arguments))

    server = type("Server", (ThreadingMixIn, module.WSGIServer), {})(("127.0.0.1", 0), Handler)
    with serving(server):
        assert fetch(server, "/a") == b"hello"
    assert seen == [("127.0.0.1", '"GET /a HTTP/1.1" 404 5')]


def test_method_that_would_not_be_called_is_named():
    class Handler(basehttp.WSGIRequestHandler):
        def handle_one_request(self):
            """Something else."""

    with pytest.raises(TypeError, match=r"^Handler\.handle_one_request: is not called by this server$"):
        ours.WSGIServer(("127.0.0.1", 0), Handler)


@BOTH
def test_exception_of_a_broken_pipe_is_a_line(module, caplog, capsys):
    caplog.set_level(logging.INFO, "django.server")
    server = module.WSGIServer(("127.0.0.1", 0), basehttp.WSGIRequestHandler)
    for error in (BrokenPipeError(), ValueError("the reason")):
        try:
            raise error
        except Exception:  # noqa: BLE001 - it is what the server handles
            server.handle_error(None, ("192.0.2.1", 80))
    server.server_close()
    assert [record.getMessage() for record in caplog.records] == ["- Broken pipe from ('192.0.2.1', 80)"]
    assert "ValueError: the reason" in capsys.readouterr().err


@pytest.mark.usefixtures("no_other_log_handlers")
def test_messages_of_the_server_are_in_the_logger_of_its_access_lines(caplog, capfd):
    def fails(environ, start_response):
        raise ValueError("the reason")

    caplog.set_level(logging.INFO, "django.server")
    server = ours.WSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    with serving(server):
        server.set_app(fails)
        assert fetch(server).startswith(b"500")
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "GET '/': the application raised ValueError")
    assert record.exc_info[1].args == ("the reason",)
    assert capfd.readouterr().err == ""
