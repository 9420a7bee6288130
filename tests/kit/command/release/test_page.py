"""deploy/kit/release/page.py: an application that is healthy and answers its page with an error is reported."""

import http.server
import os
import subprocess
import threading

import pytest

from kit.release import page


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append((self.path, dict(self.headers)))
            status, target = self.server.pages.get(self.path, (404, ""))
            if server.interim:
                self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLocation: /no\r\n\r\n")
            self.send_response(status)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    server.interim = False
    server.pages = {"/": (302, "/login?next=/"), "/login?next=/": (500, "")}
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(server, repository, monkeypatch, tmp_path):
    """Runs the command here instead of in nginx's container."""
    script = tmp_path / "ask_page"
    script.write_text(page.ASK.read_text().replace("/kit/bin/", f"{repository}/deploy/app/"))
    monkeypatch.setattr(page, "ASK", script)
    environment = {"PATH": os.environ["PATH"], "APP_PORT": str(server.server_port), "SERVER_NAME": "_ *.x.org shop.org"}

    def call(words):
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert done.stderr == ""
        return done.stdout

    return call


def test_status_is_that_after_redirects_to_other_paths(server):
    assert page.status_of(server.server_port) == 500


def test_container_is_asked_as_nginx_would(server, ask):
    assert page.status_inside(ask, "127.0.0.1") == 500
    path, fields = server.seen[-1]
    assert path == "/login?next=/"
    assert fields["Host"] == fields["X-Forwarded-Host"] == "shop.org"
    assert fields["X-Forwarded-Proto"] == "http"


@pytest.mark.parametrize("target", ["https://shop.org/", "https://shop.org:8443/"])
def test_redirect_to_https_is_followed_as_nginx_would_end_it(server, ask, target):
    server.pages["/"] = (301, target)
    assert page.status_inside(ask, "127.0.0.1") == 0, "an endless redirect is no status"
    assert [fields["X-Forwarded-Proto"] for _, fields in server.seen] == ["http", "https", "https", "https"]


@pytest.mark.parametrize("target", ["https://other.org/", "mailto:x", "//[", "/a b", ""])
def test_redirect_to_elsewhere_is_not_followed(server, ask, target):
    server.pages["/"] = (302, target)
    assert page.status_inside(ask, "127.0.0.1") == 302


def test_interim_response_is_not_the_status(server, ask):
    server.interim = True
    server.pages["/"] = (503, "")
    assert page.status_inside(ask, "127.0.0.1") == 503


def test_container_that_does_not_respond_has_no_status(server, ask):
    server.server_close()
    server.shutdown()
    assert page.status_inside(ask, "127.0.0.1") == 0


def test_name_that_visitors_use_is_the_first_that_is_no_pattern():
    assert page.name_of({"SERVER_NAME": "_ *.x.org shop.org www.shop.org"}) == "shop.org"
    assert page.name_of({}) == page.name_of({"SERVER_NAME": "_"}) == ""


def test_nobody_at_the_port_is_no_status():
    assert page.status_of(1, timeout=2) == 0
