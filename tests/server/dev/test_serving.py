"""ropewalk.serving beside werkzeug.serving: what a program of either sees is the same."""

import http.client
import logging
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time

import pytest
import trustme
import werkzeug.serving
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.wrappers import Request, Response

import ropewalk.serving
from ropewalk.dev.static_mounts import with_static_files
from ropewalk.dev.werkzeug_log import readable_target
from ropewalk.errors import ConfigError
from tests.helpers.certificates import Certificates
from tests.helpers.http_client import Client
from tests.helpers.one_request import ask, in_background, serving_forever

BOTH = pytest.mark.parametrize("module", [werkzeug.serving, ropewalk.serving], ids=["werkzeug", "ropewalk"])
MODES = pytest.mark.parametrize("mode", [{}, {"threaded": True}, {"processes": 2}], ids=["one", "threads", "processes"])

STYLE = re.compile(r"\x1b\[\d+m")


@Request.application
def hello(request):
    return Response("hello", mimetype="text/plain")


def serving(module, application, host="127.0.0.1", port=0, **options):
    return serving_forever(module.make_server(host, port, application, **options))


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def fetch(server, path="/", method="GET", body=None, headers=(), version=11, context=None):
    address = server.server_address
    if isinstance(address, str):
        connection = UnixConnection(address)
    elif context is not None:
        connection = http.client.HTTPSConnection(*address[:2], timeout=20, context=context)
    else:
        connection = http.client.HTTPConnection(*address[:2], timeout=20)
    return ask(connection, path, method, body, headers, version)


@BOTH
@MODES
def test_serves_until_shutdown(module, mode):
    kind = "Forking" if "processes" in mode else "Threaded" if mode else "Base"
    with serving(module, hello, **mode) as server:
        assert type(server) is getattr(module, f"{kind}WSGIServer")
        for _ in range(3):
            assert fetch(server)[:2] == (200, b"hello")
    assert server.socket.fileno() == -1


@BOTH
def test_attributes_are_those_that_programs_read(module):
    server = module.make_server("127.0.0.1", 0, hello)
    try:
        assert (server.host, server.port) == server.server_address == server.socket.getsockname()
        assert server.fileno() == server.socket.fileno()
        assert server.address_family == socket.AF_INET
        assert (server.multithread, server.multiprocess) == (False, False)
        assert (server.ssl_context, server.passthrough_errors) == (None, False)
        assert server.app is hello
        assert isinstance(server, module.BaseWSGIServer)
    finally:
        server.server_close()


@BOTH
@MODES
def test_environ_says_how_it_is_served(module, mode):
    @Request.application
    def application(request):
        return Response(f"{request.environ['wsgi.multithread']} {request.environ['wsgi.multiprocess']}")

    with serving(module, application, **mode) as server:
        assert fetch(server)[1] == f"{'threaded' in mode} {'processes' in mode}".encode()


@BOTH
def test_application_runs_in_the_thread_that_serves(module):
    threads = []

    def application(environ, start_response):
        threads.append(threading.current_thread())
        return hello(environ, start_response)

    server = module.make_server("127.0.0.1", 0, application)
    stop = in_background(lambda: (fetch(server), server.shutdown()))
    server.serve_forever(0.02)
    stop()
    assert threads == [threading.current_thread()]


@BOTH
def test_threads_serve_at_the_same_time(module):
    barrier = threading.Barrier(3, timeout=20)

    @Request.application
    def application(request):
        barrier.wait()
        return Response("met")

    with serving(module, application, threaded=True) as server:
        responses = [in_background(lambda: fetch(server)[1]) for _ in range(3)]
        assert [response() for response in responses] == [b"met"] * 3


@BOTH
def test_processes_serve_at_the_same_time(module, tmp_path):
    @Request.application
    def application(request):
        (tmp_path / request.path[1:]).write_text(str(os.getpid()))
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        return Response(str(len(list(tmp_path.iterdir()))))

    with serving(module, application, processes=2) as server:
        responses = [in_background(lambda name=name: fetch(server, f"/{name}")[1]) for name in "ab"]
        assert [response() for response in responses] == [b"2", b"2"]
        pids = {int(path.read_text()) for path in tmp_path.iterdir()}
        assert len(pids) == 2
        assert os.getpid() not in pids


def test_process_that_dies_is_replaced():
    @Request.application
    def application(request):
        if request.path == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        return Response("alive")

    with serving(ropewalk.serving, application, processes=2) as server:
        for _ in range(4):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
                fetch(server, "/die")
        assert fetch(server)[1] == b"alive"


@BOTH
def test_environ_is_the_same(module):
    seen = []

    @Request.application
    def application(request):
        seen.append({**request.environ, "body": request.get_data()})
        return Response("ok")

    fields = {"X-Dot": "a", "Content-Type": "text/plain", "X_Under": "no", "X-Forwarded-Proto": "https"}
    with serving(module, application) as server:
        fetch(server, "/caf%C3%A9%2Fx%20y?q=%C3%A9&x", "PUT", b"content", fields)
        fetch(server, "/double//slash", "POST", iter([b"in ", b"chunks"]))
        client = Client(server.server_address)
        two = b"X-Two: 1\r\nX-Two: 2\r\nConnection: close\r\n\r\n"
        client.send(b"GET http://shop.example:81/there?a HTTP/1.1\r\nHost: shop.example:81\r\n" + two)
        assert client.read_all()
        client.sock.close()
        port = str(server.port)
    put, post, absolute = seen
    same = {
        "REQUEST_METHOD": "PUT",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/x y",
        "QUERY_STRING": "q=%C3%A9&x",
        "REQUEST_URI": "/caf%C3%A9%2Fx%20y?q=%C3%A9&x",
        "RAW_URI": "/caf%C3%A9%2Fx%20y?q=%C3%A9&x",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{port}",
        "HTTP_X_DOT": "a",
        "HTTP_X_FORWARDED_PROTO": "https",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.run_once": False,
        "body": b"content",
    }
    assert {name: put.get(name) for name in same} == same
    assert "HTTP_X_UNDER" not in put
    assert post["PATH_INFO"] == "/double//slash"
    assert (post["wsgi.input_terminated"], post["body"]) == (True, b"in chunks")
    assert absolute["PATH_INFO"] == "/there"
    assert (absolute["HTTP_HOST"], absolute["HTTP_X_TWO"].replace(" ", "")) == ("shop.example:81", "1,2")


@BOTH
def test_proxy_fix_sees_what_the_proxy_sent(module):
    @Request.application
    def application(request):
        return Response(f"{request.scheme} {request.remote_addr} {request.host}")

    sent = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
    with serving(module, ProxyFix(application, x_host=1)) as server:
        assert fetch(server, headers=sent)[1] == b"https 203.0.113.7 shop.example"
        server.app = application
        assert fetch(server, headers=sent)[1] == f"http 127.0.0.1 127.0.0.1:{server.port}".encode()


@BOTH
@pytest.mark.parametrize("mode", [{}, {"threaded": True}], ids=["one", "threads"])
def test_responses_are_the_same(module, mode):
    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/stream":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return iter([b"a", b"", b"bc"])
        if path == "/write":
            start_response("201 Made", [])(b"written ")
            return [b"and returned"]
        if path == "/none":
            start_response("204 No Content", [])
            return []
        start_response(
            "200 OK", [("Content-Length", "5"), ("X-Own", "yes"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        )
        return [b"hello"]

    with serving(module, application, **mode) as server:
        assert fetch(server, "/stream")[:2] == (200, b"abc")
        assert fetch(server, "/stream", version=10)[:2] == (200, b"abc")
        assert fetch(server, "/write")[:2] == (201, b"written and returned")
        assert fetch(server, "/none")[:2] == (204, b"")
        status, content, headers = fetch(server, method="HEAD")
        assert (status, content, headers["X-Own"], headers["Content-Length"]) == (200, b"", "yes", "5")
        assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
        assert headers["Date"]
        # a body that the application does not read
        assert fetch(server, method="POST", body=b"x" * 3_000_000)[:2] == (200, b"hello")


@BOTH
def test_client_that_expects_to_be_asked_is_asked_for_the_content(module):
    @Request.application
    def application(request):
        return Response(request.get_data())

    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    with serving(module, application) as server:
        client = Client(server.server_address)
        client.send(head)
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read_all().endswith(b"hello")
        client.sock.close()


def lines(caplog):
    """What was logged, without colours and times."""
    logged = [STYLE.sub("", record.getMessage()) for record in caplog.records if record.name == "werkzeug"]
    return [re.sub(r"\[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\]", "[TIME]", line) for line in logged]


@BOTH
def test_lines_of_requests_are_the_same(module, caplog):
    @Request.application
    def application(request):
        return Response("ok", int(request.path[1:4]))

    statuses = ("200", "204", "304", "302", "404", "410", "503")
    with caplog.at_level(logging.INFO, "werkzeug"):
        with serving(module, application) as server:
            for status in statuses:
                fetch(server, f"/{status}/caf%C3%A9%20%2F%41?%C3%A9=%26%0A")
        assert lines(caplog) == [
            f'127.0.0.1 - - [TIME] "GET /{status}/café%20%2FA?é=%26%0A HTTP/1.1" {status} -' for status in statuses
        ]


@BOTH
def test_level_of_the_logger_silences_requests(module, caplog):
    with caplog.at_level(logging.ERROR, "werkzeug"):
        with serving(module, hello) as server:
            fetch(server)
        assert not lines(caplog)


@pytest.mark.usefixtures("no_other_log_handlers")
@BOTH
@pytest.mark.parametrize("mode", [{}, {"threaded": True}], ids=["one", "threads"])
def test_exception_is_a_500_and_is_logged(module, mode, caplog, capfd):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            start_response("200 OK", [])
            return (1 / 0 for _ in "x")
        if environ["PATH_INFO"] == "/twice":
            start_response("200 OK", [("X-First", "yes")])
            start_response("200 OK", [("X-Second", "yes")])
        return hello(environ, start_response) if environ["PATH_INFO"] == "/" else 1 / 0

    with serving(module, application, **mode) as server:
        for path in ("/now", "/late", "/twice"):
            assert fetch(server, path)[0] == 500
        assert fetch(server)[0] == 200
    assert caplog.text.count("ZeroDivisionError: division by zero") == 2
    assert caplog.text.count("\nTraceback (most recent call last):\n") >= 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["/now", "/late"])
def test_passed_errors_end_the_server(path):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/now":
            raise LookupError("shop")
        start_response("200 OK", [])

        def parts():
            yield b"a"
            raise LookupError("shop")

        return parts()

    server = ropewalk.serving.make_server("127.0.0.1", 0, application, passthrough_errors=True)

    def ask():
        try:
            return fetch(server, path)[0]
        except (http.client.HTTPException, ConnectionError):
            return None

    response = in_background(ask)
    with pytest.raises(LookupError, match="shop"):
        server.serve_forever(0.02)
    assert response() in (None, 500)
    assert server.socket.fileno() == -1


@BOTH
def test_handler_of_the_program_is_asked(module):
    logged = []

    class Handler(module.WSGIRequestHandler):
        def make_environ(self):
            return {**super().make_environ(), "shop.name": f"{self.command} {self.path} {self.headers['X-Own']}"}

        def address_string(self):
            return "client"

        def log(self, type, message, *args):
            logged.append((type, self.address_string(), STYLE.sub("", message % args)))

    @Request.application
    def application(request):
        return Response(request.environ["shop.name"])

    with serving(module, application, request_handler=Handler) as server:
        assert fetch(server, "/a", headers={"X-Own": "yes"})[1] == b"GET /a yes"
    assert logged == [("info", "client", '"GET /a HTTP/1.1" 200 -')]


def test_handler_of_werkzeug_is_asked():
    paths = []

    class Base(werkzeug.serving.WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code="-", size="-"):
            paths.append((self.path, code, size))

    class Handler(Base):
        def make_environ(self):
            return {**super().make_environ(), "REMOTE_ADDR": "203.0.113.7"}

    @Request.application
    def application(request):
        return Response(request.remote_addr)

    with serving(ropewalk.serving, application, request_handler=Handler) as server:
        assert fetch(server, "/a")[1] == b"203.0.113.7"
    assert paths == [("/a", "200", "-")]
    with serving(ropewalk.serving, hello, request_handler=werkzeug.serving.WSGIRequestHandler) as server:
        assert fetch(server)[1] == b"hello"


@pytest.mark.parametrize("base", [werkzeug.serving.WSGIRequestHandler, ropewalk.serving.WSGIRequestHandler])
@pytest.mark.parametrize(
    "name", ["run_wsgi", "handle", "do_GET", "send_response", "connection_dropped", "server_version", "__init__"]
)
def test_what_is_not_called_of_a_handler_is_refused_by_name(base, name):
    handler = type("Handler", (base,), {name: lambda self: None})
    with pytest.raises(TypeError, match=rf"Handler\.{name}: is not called by this server"):
        ropewalk.serving.make_server("127.0.0.1", 0, hello, request_handler=handler)


def test_handler_of_another_base_is_refused():
    with pytest.raises(TypeError, match="object: must be a subclass of WSGIRequestHandler"):
        ropewalk.serving.make_server("127.0.0.1", 0, hello, request_handler=object)


@Request.application
def scheme(request):
    return Response(request.scheme)


@BOTH
def test_adhoc_certificate_serves_https(module):
    context = ssl._create_unverified_context()
    with serving(module, scheme, ssl_context="adhoc", threaded=True) as server:
        assert fetch(server, context=context)[:2] == (200, b"https")
        assert isinstance(server.ssl_context, ssl.SSLContext)


@BOTH
@pytest.mark.parametrize("form", ["pair", "one file", "context"])
def test_own_certificate_serves_https(module, form, tmp_path):
    certificates = Certificates(trustme.CA(), tmp_path)
    chain, key = certificates.make("127.0.0.1").values()
    if form == "one file":
        (tmp_path / "both.pem").write_text((tmp_path / chain).read_text() + (tmp_path / key).read_text())
        given = (str(tmp_path / "both.pem"), None)
    elif form == "context":
        given = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        given.load_cert_chain(chain, key)
    else:
        given = (chain, key)
    with serving(module, scheme, ssl_context=given) as server:
        assert fetch(server, context=certificates.client_context())[:2] == (200, b"https")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (("missing.pem", None), ConfigError, "ssl_context='missing.pem': cannot be read"),
        ("letsencrypt", TypeError, "ssl_context='letsencrypt': must be None, 'adhoc'"),
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(given, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        ropewalk.serving.make_server("127.0.0.1", 0, hello, ssl_context=given)
    assert "\n" not in str(caught.value)


@BOTH
def test_unix_socket_is_served_at_its_path(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind("site.sock")
    stale.close()
    with serving(module, hello, "unix://site.sock", threaded=True) as server:
        assert server.server_address == str(tmp_path / "site.sock")
        assert server.host == "unix://site.sock"
        assert fetch(server, headers={"Host": "shop.example"})[:2] == (200, b"hello")


def test_unix_socket_s_file_is_removed_and_no_other(tmp_path):
    path = tmp_path / "site.sock"
    with serving(ropewalk.serving, hello, f"unix://{path}"):
        assert path.exists()
    assert not path.exists()
    path.write_text("precious")
    with pytest.raises(SystemExit):
        ropewalk.serving.make_server(f"unix://{path}", 0, hello)
    assert path.read_text() == "precious"


@BOTH
def test_ipv6_and_names_are_bound(module):
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with serving(module, hello, "::1") as server:
        assert server.server_address[:2] == ("::1", server.port)
        assert fetch(server)[1] == b"hello"
    with serving(module, hello, "localhost") as server:
        assert (server.host, server.server_address[0]) == ("localhost", "127.0.0.1")
        assert fetch(server)[1] == b"hello"


@BOTH
def test_descriptor_of_a_listening_socket_is_used(module):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with serving(module, hello, port=1, fd=listener.fileno()) as server:
            assert server.port == listener.getsockname()[1]
            assert fetch(server)[1] == b"hello"
        assert listener.getsockname()


def test_what_is_no_listening_socket_is_refused():
    for number, reason in ((9999, "Bad file descriptor"), (0, "is not a socket")):
        with pytest.raises((ValueError, SystemExit), match="1|" + reason):
            ropewalk.serving.make_server("127.0.0.1", 0, hello, fd=number)


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "192.0.2.1"])
def test_what_cannot_be_bound_is_said_in_the_same_lines(module, host, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as caught:
            module.make_server(host, port, hello)
    assert caught.value.code == 1
    said = capsys.readouterr().err.splitlines()
    if host == "127.0.0.1":
        assert said[:2] == [
            "Address already in use",
            (
                f"Port {port} is in use by another program. Either identify and stop that program, or start the server "
                "with a different port."
            ),
        ]
    else:
        assert said in (["Name or service not known"], ["Temporary failure in name resolution"]) or said == [
            "Cannot assign requested address"
        ]


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_port_that_does_not_exist_is_refused(port):
    """Werkzeug serves 99999 at 34463."""
    with pytest.raises(ValueError, match=rf"^port={port}: must be an integer from 0 to 65535$"):
        ropewalk.serving.make_server("127.0.0.1", port, hello)


@BOTH
def test_without_a_host_all_addresses_of_ipv4_are_served(module):
    with serving(module, hello, host="") as server:
        assert server.socket.getsockname()[0] == "0.0.0.0"


@BOTH
def test_threads_and_processes_exclude_each_other(module):
    with pytest.raises(ValueError, match=r"multi-thread and multi-process|threads or processes, not both"):
        module.make_server("127.0.0.1", 0, hello, threaded=True, processes=2)


@BOTH
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "localhost", "unix://site.sock"])
def test_start_is_said_in_the_same_lines(module, host, caplog, tmp_path, monkeypatch):
    """But for the first, which is each server's own."""
    monkeypatch.chdir(tmp_path)
    family = socket.AF_UNIX if "unix" in host else socket.AF_INET6 if ":" in host else socket.AF_INET
    with caplog.at_level(logging.INFO, "werkzeug"), socket.socket(family) as listener:
        listener.bind(host.removeprefix("unix://") if "unix" in host else ("::1" if ":" in host else "127.0.0.1", 0))
        listener.listen()
        server = module.make_server(host, 0, hello, fd=listener.fileno())
        server.log_startup()
        server.server_close()
    port = server.port
    expected = {
        "0.0.0.0": [
            r" \* Running on all addresses \(0\.0\.0\.0\)",
            rf" \* Running on http://127\.0\.0\.1:{port}",
            rf" \* Running on http://[\d.]+:{port}",
        ],
        "::": [
            r" \* Running on all addresses \(::\)",
            rf" \* Running on http://\[::1\]:{port}",
            rf" \* Running on http://\[[\da-f:]+\]:{port}",
        ],
        "::1": [rf" \* Running on http://\[::1\]:{port}"],
        "localhost": [rf" \* Running on http://localhost:{port}"],
        "unix://site.sock": [r" \* Running on unix://site\.sock"],
    }[host]
    _, *said = "\n".join(lines(caplog)).splitlines()
    assert len(said) == len(expected)
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(pattern, line)


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Folders and files, as `static_files` names them."""
    for path in ("public/a.txt", "public/sub/b.css", "one/robots.txt", "parcel/__init__.py", "parcel/static/c.js"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"content of {path}")
    monkeypatch.syspath_prepend(str(tmp_path))
    return {
        "/static": str(tmp_path / "public"),
        "/robots.txt": str(tmp_path / "one/robots.txt"),
        "/parcel": ("parcel", "static"),
    }


@pytest.mark.parametrize("wrap", [SharedDataMiddleware, with_static_files], ids=["werkzeug", "ropewalk"])
def test_static_files_are_the_same(wrap, exported):
    with serving(ropewalk.serving, wrap(hello, exported)) as server:
        for path, content, media_type in [
            ("/static/a.txt", b"content of public/a.txt", "text/plain; charset=utf-8"),
            ("/static/sub/b.css", b"content of public/sub/b.css", "text/css; charset=utf-8"),
            ("/robots.txt", b"content of one/robots.txt", "text/plain; charset=utf-8"),
            ("/parcel/c.js", b"content of parcel/static/c.js", "text/javascript; charset=utf-8"),
            ("/static/missing", b"hello", "text/plain; charset=utf-8"),
            ("/static/../one/robots.txt", b"hello", "text/plain; charset=utf-8"),
            ("/static", b"hello", "text/plain; charset=utf-8"),
        ]:
            status, received, headers = fetch(server, path)
            assert (status, received, headers["Content-Type"]) == (200, content, media_type), path
        status, _, headers = fetch(server, "/static/a.txt")
        assert fetch(server, "/static/a.txt", headers={"If-None-Match": headers["ETag"]})[0] == 304


def test_static_files_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        with_static_files(hello, {"/static": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="no_such_package"):
        with_static_files(hello, {"/static": ("no_such_package", "static")})


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/plain?a=b", "/plain?a=b"),
        ("/caf%C3%A9", "/café"),
        ("/%41%2f%3F%23%25", "/A%2F%3F%23%25"),
        ("/?%26%3D%2B%41", "/?%26%3D%2BA"),
        ("/%ff%C3", "/%FF%C3"),
        ("/%1b%7f%C2%9b%E2%80%A8", "/%1B%7F%C2%9B%E2%80%A8"),
    ],
)
def test_target_is_readable_and_harmless(target, shown):
    assert readable_target(target) == shown
