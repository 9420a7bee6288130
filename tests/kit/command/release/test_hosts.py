"""deploy/kit/release/hosts.py: the name of this machine that the application allows."""

import http.server
import threading

import pytest

from kit.release import hosts, images
from kit.release.engine import Done
from kit.release.output import Output
from kit.release.site import Site
from tests.helpers.fake_engine import FakeEngine


@pytest.fixture
def serve():
    """Starts a server that responds with the status that a function of the name returns."""
    servers = []

    def start(respond):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(respond(self.headers["Host"].partition(":")[0]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def allows(*names):
    return lambda name: 200 if name in names else 400


def test_name_that_the_application_allows_is_found(serve):
    port = serve(allows("127.0.0.1"))
    assert hosts.allowed(port, hosts.LOCAL) == "127.0.0.1"
    assert hosts.allowed(port, ["localhost", "shop.example"]) == ""


@pytest.mark.parametrize(
    ("server_name", "tls", "expected"),
    [
        ("_", "8443", "http://127.0.0.1:{0} https://127.0.0.1:8443"),
        ("shop.example www.shop.example", "443", "http://shop.example:{0} https://shop.example"),
        ("_", "", "http://127.0.0.1:{0}"),
    ],
)
def test_addresses_of_a_site_that_runs(serve, server_name, tls, expected):
    plain = str(serve(allows("127.0.0.1", "shop.example")))
    ports = {"8080/tcp": plain} | ({"8443/tcp": tls} if tls else {})
    engine = FakeEngine()
    nginx = next(each for each in engine.containers.values() if each.service == "nginx")
    nginx.ports = ports
    site = Site(engine, Output("up"), "shop", images.Image("shop-app", "latest"), {}, {"SERVER_NAME": server_name})
    assert " ".join(hosts.urls(site, site.require_proxy().nginx)) == expected.format(plain)
    nginx.ports = {}
    assert hosts.urls(site, site.require_proxy().nginx) == []


NOT_ALLOWED = "Invalid HTTP_HOST header: 'localhost'"


@pytest.mark.parametrize(
    ("server_name", "allowed", "log", "host", "said"),
    [
        ("_", ("localhost",), "", "localhost", ""),
        ("_", ("127.0.0.1",), "", "127.0.0.1", ""),
        ("_", (), "an API without a page", "localhost", ""),
        ("_", (), NOT_ALLOWED, "localhost", "does not allow the name localhost or 127.0.0.1"),
        # then nginx answers under no other name
        ("shop.example *.shop.example", ("shop.example", "localhost"), "", "shop.example", ""),
        ("a.example b.example", ("b.example",), "", "b.example", ""),
        ("shop.example", ("localhost",), NOT_ALLOWED, "shop.example", "does not allow the name shop.example"),
    ],
)
def test_address_to_print_has_a_name_that_is_answered(serve, capsys, server_name, allowed, log, host, said):
    engine = FakeEngine()
    engine.failing["logs"] = lambda: Done(0, f"{log}\n", "")
    site = Site(engine, Output("up"), "shop", images.Image("shop-app", "latest"), {}, {"SERVER_NAME": server_name})
    assert hosts.find(site, str(serve(allows(*allowed)))) == host
    out = "".join(capsys.readouterr())
    assert said in out
    assert bool(out) is bool(said)
