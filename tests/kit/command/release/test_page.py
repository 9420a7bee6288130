"""deploy/kit/release/page.py: an application that is healthy and answers its page with an error is reported."""

import http.server
import threading

import pytest

from kit.release import page


@pytest.fixture
def port():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, target = {"/": (302, "/login?next=/"), "/login?next=/": (500, "")}.get(self.path, (404, ""))
            self.send_response(status)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_status_is_that_after_redirects_to_other_paths(port):
    assert page.status_of(port) == 500


def test_nobody_at_the_port_is_no_status():
    assert page.status_of(1, timeout=2) == 0
