"""ropewalk.simple_server beside wsgiref.simple_server: what a program of either sees is the same."""

import http.client
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import wsgiref.simple_server
import wsgiref.types
import wsgiref.validate

import pytest
import trustme

import ropewalk.simple_server
from tests.helpers.certificates import Certificates
from tests.helpers.one_request import ask, in_background, serving_forever

BOTH = pytest.mark.parametrize("module", [wsgiref.simple_server, ropewalk.simple_server], ids=["wsgiref", "ropewalk"])


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def bye(environ, start_response):
    start_response("200 OK", [])
    return [b"bye"]


def fetch(server, path="/", method="GET", body=None, headers=(), version=11):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    return ask(connection, path, method, body, headers, version)


@BOTH
def test_serves_until_shutdown(module):
    with serving_forever(module.make_server("127.0.0.1", 0, wsgiref.validate.validator(hello))) as server:
        for _ in range(2):
            assert fetch(server)[:2] == (200, b"hello")


@BOTH
def test_request_is_finished_before_the_server_ends(module):
    is_asked, may_end, is_closed = threading.Event(), threading.Event(), threading.Event()

    class Parts:
        def __init__(self):
            self.left = [b"hello"]

        def __iter__(self):
            return self

        def __next__(self):
            if self.left:
                return self.left.pop()
            is_asked.set()
            may_end.wait(20)
            raise StopIteration

        def close(self):
            is_closed.set()

    def application(environ, start_response):
        start_response("200 OK", [])
        return Parts()

    with module.make_server("127.0.0.1", 0, application) as server:
        serves = in_background(lambda: server.serve_forever(0.01) or is_closed.is_set())
        response = in_background(lambda: fetch(server)[1])
        assert is_asked.wait(20)
        stops = in_background(server.shutdown)
        while not (getattr(server, "_must_end", False) or getattr(server, "_BaseServer__shutdown_request", False)):
            time.sleep(0.001)
        may_end.set()
        stops()
        assert serves()
        assert response() == b"hello"


@BOTH
def test_attributes_are_those_that_programs_read(module):
    with module.make_server("127.0.0.1", 0, hello) as server:
        assert server.server_address == ("127.0.0.1", server.server_port) == server.socket.getsockname()
        assert server.server_name == socket.getfqdn("127.0.0.1")
        assert server.fileno() == server.socket.fileno()
        assert server.get_app() is server.application is hello
        assert issubclass(server.RequestHandlerClass, module.WSGIRequestHandler)
        assert isinstance(server, wsgiref.simple_server.WSGIServer)
    assert server.socket.fileno() == -1


@BOTH
def test_one_request_is_handled_in_the_thread_of_the_caller(module):
    threads = []

    def application(environ, start_response):
        threads.append(threading.current_thread())
        start_response("200 OK", [])

        def parts():
            threads.append(threading.current_thread())
            yield b"he"
            threads.append(threading.current_thread())
            yield b"llo"

        return parts()

    with module.make_server("127.0.0.1", 0, application) as server:
        first, second = (in_background(lambda: fetch(server)[1]) for _ in range(2))
        server.handle_request()
        assert set(threads) == {threading.current_thread()}
        assert len(threads) == 3
        server.handle_request()
        assert [first(), second()] == [b"hello", b"hello"]


@BOTH
def test_timeout_without_a_request_is_reported(module):
    class Server(module.WSGIServer):
        timeout = 0.01
        timeouts = 0

        def handle_timeout(self):
            self.timeouts += 1

    with module.make_server("127.0.0.1", 0, hello, Server) as server:
        server.handle_request()
        assert server.timeouts == 1
        response = in_background(lambda: fetch(server)[1])
        while not server.timeouts > 20 and threading.active_count() > 1:
            server.handle_request()
        assert response() == b"hello"


@BOTH
def test_application_is_exchanged_while_it_serves(module):
    with serving_forever(module.make_server("127.0.0.1", 0, hello)) as server:
        assert fetch(server)[1] == b"hello"
        server.set_app(bye)
        assert fetch(server)[1] == b"bye"


@BOTH
def test_environ_and_log_are_the_program_s(module):
    lines = []

    class Handler(module.WSGIRequestHandler):
        def get_environ(self):
            return {**super().get_environ(), "shop.name": "The shop"}

        def log_message(self, format, *arguments):
            lines.append((self.client_address[0], format % arguments))

    def application(environ, start_response):
        start_response("404 Not Found", [("Content-Length", "3")])
        return [f"{environ['shop.name'][-4:]}{environ['base']}".encode()[:3]]

    with serving_forever(module.make_server("127.0.0.1", 0, application, handler_class=Handler)) as server:
        server.base_environ["base"] = "!"
        assert fetch(server, "/a?b=c")[:2] == (404, b"sho")
        deadline = time.monotonic() + 10
        while not lines and time.monotonic() < deadline:
            time.sleep(0.01)
    assert lines == [("127.0.0.1", '"GET /a?b=c HTTP/1.1" 404 3')]


@BOTH
def test_environ_has_what_wsgiref_s_has(module):
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        seen["body"] = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving_forever(module.make_server("127.0.0.1", 0, application)) as server:
        fetch(server, "/a%20b?c=%20", "POST", b"body", {"X-Own": "1", "Content-Type": "text/x"})
        expected = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/a b",
            "QUERY_STRING": "c=%20",
            "CONTENT_TYPE": "text/x",
            "CONTENT_LENGTH": "4",
            "HTTP_X_OWN": "1",
            "SCRIPT_NAME": "",
            "SERVER_PORT": str(server.server_port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "body": b"body",
        }
        assert {name: seen[name] for name in expected} == expected
        assert seen["wsgi.errors"] is sys.stderr


@BOTH
def test_fields_of_a_proxy_reach_the_program_as_they_came(module):
    """It is the program's own middleware that knows whom to trust."""
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    fields = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"}
    with serving_forever(module.make_server("127.0.0.1", 0, application)) as server:
        fetch(server, headers=fields)
    expected = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
    expected |= {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"}
    assert {name: seen[name] for name in expected} == expected


@BOTH
def test_request_that_is_no_http_is_in_the_log(module):
    lines = []

    class Handler(module.WSGIRequestHandler):
        def log_message(self, format, *arguments):
            lines.append(format % arguments)

    with serving_forever(module.make_server("127.0.0.1", 0, hello, handler_class=Handler)) as server:
        for octets in (b"nonsense\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
            with socket.create_connection(server.server_address, 20) as sock:
                sock.sendall(octets)
                while sock.recv(4096):
                    pass
    requests = [line.partition('" ')[0] for line in lines if line.startswith('"')]
    assert requests[0] == '"nonsense'
    assert requests[1].startswith('"\x16\x03')


@BOTH
def test_application_that_fails_is_a_500_and_the_server_goes_on(module, capfd):
    def application(environ, start_response):
        if environ["PATH_INFO"] == "/fails":
            raise ValueError("the reason")
        return hello(environ, start_response)

    with serving_forever(module.make_server("127.0.0.1", 0, application)) as server:
        assert fetch(server, "/fails")[0] == 500
        assert fetch(server)[1] == b"hello"
    lines = capfd.readouterr().err.splitlines()
    assert "ValueError: the reason" in lines
    if module is ropewalk.simple_server:  # the original's own frames are there
        trace = lines.index("Traceback (most recent call last):")
        assert lines[trace - 1] == "GET '/fails': the application raised ValueError"
        assert lines[trace + 1].startswith(f'  File "{__file__}", line ')


@BOTH
def test_write_of_start_response(module):
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"he")
        return [b"llo"]

    with serving_forever(module.make_server("127.0.0.1", 0, application)) as server:
        assert fetch(server)[1] == b"hello"


@BOTH
def test_connection_that_is_refused_is_closed(module):
    class Server(module.WSGIServer):
        def verify_request(self, request, client_address):
            return client_address[0] != "127.0.0.1"

    closed = (http.client.RemoteDisconnected, ConnectionError)
    with serving_forever(module.make_server("127.0.0.1", 0, hello, Server)) as server, pytest.raises(closed):
        fetch(server)


@BOTH
def test_threads_of_a_server_that_has_them(module):
    class Server(socketserver.ThreadingMixIn, module.WSGIServer):
        daemon_threads = True

    both = threading.Barrier(2, timeout=20)

    def application(environ, start_response):
        both.wait()
        return hello(environ, start_response)

    with serving_forever(module.make_server("127.0.0.1", 0, application, Server)) as server:
        other = in_background(lambda: fetch(server)[1])
        assert [fetch(server)[1], other()] == [b"hello", b"hello"]


@BOTH
def test_service_actions_are_called_between_requests(module):
    class Server(module.WSGIServer):
        is_called = threading.Event()

        def service_actions(self):
            self.is_called.set()

    with serving_forever(module.make_server("127.0.0.1", 0, hello, Server)) as server:
        assert server.is_called.wait(20)


@BOTH
def test_ipv6(module):
    class Server(module.WSGIServer):
        address_family = socket.AF_INET6

    with serving_forever(module.make_server("::1", 0, hello, Server)) as server:
        connection = http.client.HTTPConnection("::1", server.server_port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
        connection.close()


@BOTH
def test_system_exit_of_the_application_is_a_500(module):
    def application(environ, start_response):
        raise SystemExit(3)

    with serving_forever(module.make_server("127.0.0.1", 0, application)) as server:
        assert fetch(server)[0] == 500
        server.set_app(hello)
        assert fetch(server)[1] == b"hello"


def test_ctrl_c_inside_the_application_ends_the_server():
    """wsgiref makes a 500 of it, and goes on."""

    def application(environ, start_response):
        raise KeyboardInterrupt

    with ropewalk.simple_server.make_server("127.0.0.1", 0, application) as server:
        status = in_background(lambda: fetch(server)[0])
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        assert status() == 500


@BOTH
def test_port_in_use_is_an_os_error(module):
    with module.make_server("127.0.0.1", 0, hello) as server, pytest.raises(OSError, match="in use"):
        module.make_server("127.0.0.1", server.server_port, hello)


@BOTH
def test_shutdown_before_the_start_ends_it_at_once(module):
    with module.make_server("127.0.0.1", 0, hello) as server:
        stopped = in_background(server.shutdown)
        time.sleep(0.05)
        server.serve_forever()
        assert stopped() is None


def test_slow_client_occupies_nobody():
    """Unlike wsgiref, which reads one connection until it has a request."""
    server = ropewalk.simple_server.make_server("127.0.0.1", 0, hello)
    with serving_forever(server), socket.create_connection(server.server_address, 20) as slow:
        slow.sendall(b"GET / HT")
        assert fetch(server)[1] == b"hello"


def test_classes_of_the_original_are_taken_as_well():
    class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        pass

    class Handler(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *_):
            pass

    make_server = ropewalk.simple_server.make_server
    with serving_forever(make_server("127.0.0.1", 0, hello, Server, Handler)) as server:
        assert isinstance(server, ropewalk.simple_server.WSGIServer)
        assert "ropewalk" in fetch(server)[2]["Server"]


def handler_with(name):
    return type("Handler", (ropewalk.simple_server.WSGIRequestHandler,), {name: lambda *_: None})


def server_with(name):
    return type("Server", (ropewalk.simple_server.WSGIServer,), {name: lambda *_: None})


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"handler_class": handler_with("parse_request")}, "Handler.parse_request: is not called by this server"),
        ({"handler_class": handler_with("do_GET")}, "Handler.do_GET: is not called by this server"),
        ({"server_class": server_with("process_request")}, "Server.process_request: is not called by this server"),
        (
            {"handler_class": socketserver.BaseRequestHandler},
            "BaseRequestHandler: must be a subclass of WSGIRequestHandler",
        ),
        (
            {"server_class": type("Server", (socketserver.ForkingMixIn, ropewalk.simple_server.WSGIServer), {})},
            "Server: no process is forked for a request; use ThreadingMixIn",
        ),
    ],
)
def test_what_is_not_called_is_refused_by_name(classes, said):
    with pytest.raises(TypeError) as raised:
        ropewalk.simple_server.make_server("127.0.0.1", 0, hello, **classes)
    assert str(raised.value) == said


def test_socket_that_the_program_wraps_in_tls(tmp_path):
    certificates = Certificates(trustme.CA(), tmp_path)
    files = certificates.make("127.0.0.1")
    server = ropewalk.simple_server.make_server("127.0.0.1", 0, hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["certfile"], files["keyfile"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving_forever(server):
        trusting = certificates.client_context()
        connection = http.client.HTTPSConnection("127.0.0.1", server.server_port, timeout=20, context=trusting)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
        connection.close()


def test_command_serves_the_demonstration():
    command = [sys.executable, "-m", "ropewalk.simple_server"]
    # a shell's background job, as this test may be, ignores SIGINT
    listens = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, **listens) as process:
        port = int(process.stdout.readline().partition("127.0.0.1:")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"Hello world!" in client.makefile("rb").read()
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    refused = subprocess.run([*command, "x"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (
        2,
        "usage: python -m ropewalk.simple_server [PORT], by default 8000\n",
    )
