"""`manage.py runserver` with ropewalk.django beside Django's own: what a developer sees of both is the same."""

from __future__ import annotations

import http.client
import re
import socket
import ssl

import pytest

from tests.helpers.django_site import STARTED, comparable
from tests.helpers.http_client import Client
from tests.helpers.ports import free_port
from tests.helpers.processes import wait_until

ACCESS_LINE = r'(?m)^\[.*\] "(.*)" (\d+) (\d+)$'


def header_that_matters(headers):
    own = {"date", "server", "connection", "keep-alive", "transfer-encoding"}
    return {name.lower(): value for name, value in headers.items() if name.lower() not in own}


def test_lines_of_the_terminal_and_responses_are_the_same(both):
    requests = [
        ("/", "GET"),
        ("/", "HEAD"),
        ("/upload", "POST"),
        ("/static/shop/style.css", "GET"),
        ("/missing", "GET"),
    ]
    seen = []
    for site in both:
        served = site.serve()
        responses = []
        for path, method in requests:
            status, text, headers = served.fetch(path, method, b"12345" if method == "POST" else None)
            served.running.wait_lines(ACCESS_LINE, len(responses) + 1)
            responses.append((status, len(text), header_that_matters(headers)))
        assert served.interrupt() == 0
        responses[-1] = responses[-1][0]  # Django's page for DEBUG is longer with a longer path
        lines = [re.sub(r'("GET /missing .*) \d+', r"\1", line) for line in served.lines]
        seen.append((lines, responses))
    assert seen[0] == seen[1]
    assert '[TIME] "GET /static/shop/style.css HTTP/1.1" 200 22' in seen[1][0]


def test_exception_of_a_view_is_django_s_page_and_lines(site):
    served = site.serve("--noreload")
    status, page, _ = served.fetch("/fails")
    assert status == 500
    assert "ValueError" in page
    served.running.wait_line(r'"GET /fails HTTP/1.1" 500')
    lines = served.lines
    assert "Internal Server Error: /fails" in lines
    assert "ValueError: the reason" in lines


@pytest.mark.parametrize(
    ("address", "options", "shown"),
    [
        ("{port}", [], "127.0.0.1"),
        ("127.0.0.1:{port}", [], "127.0.0.1"),
        ("localhost:{port}", [], "localhost"),
        ("0:{port}", [], "0.0.0.0"),
        ("[::1]:{port}", [], "[::1]"),
        ("{port}", ["--ipv6"], "[::1]"),
        ("{port}", ["-6"], "[::1]"),
    ],
)
def test_address_in_all_its_forms(site, address, options, shown):
    port = free_port()
    served = site.serve(address.format(port=port), "--noreload", "--skip-checks", *options)
    assert served.running.wait_line(STARTED).groups() == ("http", shown, str(port))
    host = "::1" if shown == "[::1]" or options else "127.0.0.1"
    connection = served.connect(host)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    connection.close()
    assert "Performing system checks..." not in served.lines


@pytest.mark.parametrize(
    "arguments",
    [["no-port"], ["127.0.0.1:"], ["127.0.0.1:8000", "--ipv6"], ["1.2.3:80:90"], ["8000", "--no-such-option"]],
)
def test_arguments_that_are_refused_are_refused_in_the_same_words(both, arguments):
    seen = []
    for site in both:
        running = site.run("runserver", *arguments)
        status = running.wait_exit()
        seen.append((status, running.output.rpartition("error:")[2] or running.output))
    assert seen[0] == seen[1]
    assert seen[0][0] != 0


def test_port_in_use_and_address_of_another_machine(both):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address, reason in (
            (f"127.0.0.1:{taken.getsockname()[1]}", "Error: That port is already in use."),
            (f"192.0.2.1:{free_port()}", "Error: That IP address can't be assigned to."),
        ):
            seen = []
            for site in both:
                running = site.run("runserver", address)
                seen.append((running.wait_exit(), comparable(running.output)))
            assert seen[0] == seen[1]
            assert seen[0][0] == 1
            assert reason in seen[0][1]


def test_file_that_is_edited_is_reloaded_also_after_a_syntax_error(site):
    served = site.serve()
    assert served.fetch("/")[1] == "hello"
    views = site.folder / "shop/views.py"
    works = views.read_text()
    served.edit(views, works.replace('"hello"', '"changed"'))
    assert served.fetch("/")[1] == "changed"
    served.edit(views, "def hello(request)\n", until="SyntaxError: expected ':'")
    served.edit(views, works)
    assert served.fetch("/")[1] == "hello"
    assert len(re.findall(r"(?m)^/.*/shop/views\.py changed, reloading\.$", served.running.output)) >= 3
    assert served.interrupt() == 0


@pytest.mark.parametrize("options", [[], ["--noreload"]], ids=["reloader", "noreload"])
def test_ctrl_c_ends_it_at_once_whatever_it_is_doing(site, options):
    served = site.serve(*options)
    idle, busy = served.connect(), served.connect()
    idle.request("GET", "/")
    assert idle.getresponse().read() == b"hello"
    busy.request("GET", "/waits")
    wait_until((site.folder / "is-waiting").exists, "the request's start")
    assert served.interrupt() == 0
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        busy.getresponse()
    idle.close()
    busy.close()


def test_without_threads_requests_run_in_that_of_the_server(site):
    served = site.serve("--noreload", "--nothreading")
    assert served.fetch("/thread")[1] == "MainThread"


def test_with_threads_a_request_that_waits_is_not_waited_for(site):
    served = site.serve("--noreload")
    busy = served.connect()
    busy.request("GET", "/waits")
    wait_until((site.folder / "is-waiting").exists, "the request's start")
    assert served.fetch("/thread")[1] != "MainThread"
    busy.close()


@pytest.mark.parametrize(
    ("options", "env", "status"),
    [
        (["--nostatic"], {}, 404),
        ([], {"NO_DEBUG": "1"}, 404),
        (["--insecure"], {"NO_DEBUG": "1"}, 200),
    ],
    ids=["nostatic", "no DEBUG", "insecure"],
)
def test_static_files_are_served_when_django_serves_them(site, options, env, status):
    served = site.serve("--noreload", *options, **env)
    assert served.fetch("/static/shop/style.css")[0] == status


def test_request_reaches_the_view_as_with_django_s_server(both):
    """The fields that a proxy sets are the project's to evaluate; names with an underscore are nobody's."""
    fields = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "shop.example", "X_Spoofed": "1"}
    seen = []
    for site in both:
        served = site.serve("--noreload")
        for more in ({}, {"X-Forwarded-Proto": "https"}):
            seen.append((site.server, served.fetch("/request", headers=fields | more)[1]))
    assert [text for server, text in seen if server == "django"] == [
        text for server, text in seen if server != "django"
    ]
    assert '"scheme": "https"' in seen[-1][1]


def test_tls_on_a_port_without_it_is_explained(site):
    served = site.serve("--noreload")
    with (
        socket.create_connection(("127.0.0.1", served.port), 20) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        ssl._create_unverified_context().wrap_socket(sock)
    served.running.wait_line("You're accessing the development server over HTTPS, but it only supports HTTP.")
    assert "Refused" not in served.running.output


def test_request_that_is_no_http_is_shown(site):
    served = site.serve("--noreload")
    client = Client(("127.0.0.1", served.port))
    client.send(b"nonsense\r\n\r\n")
    client.read_all()
    client.sock.close()
    served.running.wait_line(r'"nonsense" 400')


def test_client_that_leaves_is_a_broken_pipe(ours):
    served = ours.serve("--noreload")
    client = Client(("127.0.0.1", served.port))
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until((ours.folder / "is-waiting").exists, "the request's start")
    client.read_until(b"xxxx")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.sock.close()
    served.running.wait_line(r"- Broken pipe from \('127.0.0.1', \d+\)")


def test_streamed_response_and_its_line(site):
    served = site.serve("--noreload")
    assert served.fetch("/stream")[1] == "part 0\npart 1\npart 2\n"
    served.running.wait_line(r'"GET /stream HTTP/1.1" 200 \d+')


def test_pages_that_have_streams_open_do_not_hold_others_up(site):
    served = site.serve("--noreload")
    pages = [served.connect() for _ in range(20)]
    for page in pages:
        page.request("GET", "/events")
    for page in pages:
        assert page.getresponse().readline() == b"data: still here\n"
    assert served.fetch("/")[1] == "hello"
    (site.folder / "may-end").touch()
    for page in pages:
        page.close()


def test_settings_and_bytecode_are_as_for_any_command(site):
    (site.folder / "shop/other.py").write_text("from shop.settings import *\nOTHER = True\n")
    served = site.serve("--settings", "shop.other", "0", PYTHONDONTWRITEBYTECODE="1")
    assert "using settings 'shop.other'" in served.running.wait_line("Django version.*")[0]
    assert served.fetch("/")[1] == "hello"
    assert not list(site.folder.rglob("__pycache__"))


def test_wsgi_application_of_the_project_is_the_one_that_is_served(site):
    (site.folder / "shop/wsgi.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '3')])\n"
        "    return [b'own']\n"
    )
    (site.folder / "shop/other.py").write_text(
        "from shop.settings import *\nWSGI_APPLICATION = 'shop.wsgi.application'\n"
    )
    served = site.serve("--noreload", "--settings", "shop.other", "0")
    assert served.fetch("/")[1] == "own"


# What Django's has not


@pytest.mark.parametrize(
    "apps",
    [{"APPS_BEFORE": "wrapper"}, {"APPS_AFTER": "wrapper"}, {"APPS_BEFORE": "wrapper", "APPS_AFTER": "other_server"}],
)
def test_command_of_another_application_that_extends_the_next_one_is_kept(ours, apps):
    served = ours.serve("--noreload", **apps)
    assert served.fetch("/")[2]["Server"] == "ropewalk"
    assert served.fetch("/static/shop/style.css")[0] == 404
    assert "wrapped" in served.lines


@pytest.mark.parametrize(
    ("apps", "is_ours"), [({"APPS_AFTER": "other_server"}, True), ({"APPS_BEFORE": "other_server"}, False)]
)
def test_of_two_servers_the_first_in_installed_apps_serves(ours, apps, is_ours):
    served = ours.serve("--noreload", **apps)
    assert (served.fetch("/")[2]["Server"] == "ropewalk") == is_ours
    assert ("the other server" in served.lines) != is_ours
    assert served.fetch("/static/shop/style.css")[0] == 200


def test_body_in_chunks_reaches_the_view(ours):
    served = ours.serve("--noreload")
    assert served.fetch("/upload", "POST", iter([b"123", b"45"]))[1] == "5"


def certificate_of(port):
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=20)


def test_https_with_a_certificate_that_is_the_same_after_a_reload(ours):
    served = ours.serve("--https")
    assert served.running.wait_line(STARTED)[1] == "https"
    assert '"scheme": "https"' in served.fetch("/request")[1]
    before = certificate_of(served.port)
    views = ours.folder / "shop/views.py"
    served.edit(views, views.read_text().replace('"hello"', '"changed"'))
    assert served.fetch("/")[1] == "changed"
    assert certificate_of(served.port) == before


def test_https_with_a_certificate_of_one_s_own(ours, tmp_path):
    from ropewalk.dev.certificate import adhoc_certificate

    with adhoc_certificate("shop.example") as path, open(path) as file:
        (tmp_path / "own.pem").write_text(file.read())
    served = ours.serve("--noreload", "--certfile", str(tmp_path / "own.pem"))
    assert served.fetch("/")[1] == "hello"
    assert certificate_of(served.port) in (tmp_path / "own.pem").read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--certfile", "nothing.pem"], "CommandError: --certfile='nothing.pem': cannot be read"),
        (["--keyfile", "nothing.pem"], "CommandError: --keyfile='nothing.pem': needs --certfile"),
    ],
)
def test_certificate_that_cannot_be_used_is_one_line(ours, arguments, reason):
    running = ours.run("runserver", *arguments)
    assert running.wait_exit() == 1
    assert reason in running.output
    assert len(running.output.splitlines()) == 1


def test_help_names_the_option_for_https_beside_those_of_django(both):
    django, ours = (site.run("runserver", "--help") for site in both)
    assert django.wait_exit() == ours.wait_exit() == 0
    options = {word for word in django.output.split() if word.startswith("--")}
    assert options <= set(ours.output.split())
    assert "--https" in ours.output.split()


@pytest.mark.parametrize("is_last", [False, True])
def test_place_in_installed_apps_that_has_no_effect_is_a_warning(ours, is_last):
    order = "INSTALLED_APPS.append(INSTALLED_APPS.pop(0))" if is_last else ""
    (ours.folder / "shop/other.py").write_text(f"from shop.settings import *\n{order}\n")
    served = ours.serve("--noreload", "--settings", "shop.other", "0")
    assert (served.fetch("/")[2]["Server"] == "ropewalk") != is_last
    warning = "(ropewalk.W001) 'ropewalk.django' is after 'django.contrib.staticfiles' in INSTALLED_APPS"
    assert (warning in served.running.output) == is_last
