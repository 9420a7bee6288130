"""The pages of nginx's own errors, and of a maintenance: with a real nginx and no container."""

import http.client
import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ropewalk
from tests.helpers.containers import wait_until
from tests.helpers.nginx import NOBODY, running_nginx
from tests.helpers.paths import REPOSITORY
from tests.kit.test_nginx_requests import Recorder, Site

pytestmark = pytest.mark.nginx

BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PROGRAM = "Accept: application/json, text/plain, */*"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"app"]


@pytest.fixture(scope="module")
def site():
    """The site, whose application can be reached, with a page of its own for 504."""
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
        running_nginx(server, Path(name), HEALTH_PATH="/health") as port,
    ):
        yield Site(port, Recorder(), Path(name))


@pytest.fixture(scope="module")
def site_without_application():
    def own_pages(directory: Path) -> None:
        (directory / "kit/nginx/pages/own/413.html").write_text("our page, <!--# echo var='status' -->")

    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
        running_nginx(server, Path(name), before=own_pages) as port,
    ):
        server.stop()
        (Path(name) / "nginx/away").touch()  # as watch-upstream does: nothing waits for it
        yield Site(port, Recorder(), Path(name))


def get(site, target, *fields, method="GET", content=""):
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for field in fields:
        connection.putheader(*field.split(": ", 1))
    connection.endheaders(content.encode())
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, dict(response.getheaders()), body


def test_page_says_what_is_known_and_reloads_itself(site_without_application):
    status, fields, page = get(site_without_application, "/", BROWSER)
    assert (status, fields["Retry-After"], fields["Content-Type"]) == (502, "5", "text/html; charset=utf-8")
    assert "<h1>Back in a moment</h1>" in page
    assert '<meta http-equiv="refresh" content="5">' in page
    assert f"Request ID: {fields['X-Request-ID']}</small>" in page
    assert "<!--#" not in page


def test_response_to_a_form_is_not_reloaded(site_without_application):
    status, _, page = get(site_without_application, "/", BROWSER, "Content-Length: 3", method="POST", content="a=b")
    assert (status, "refresh" in page, "Please try again in a few seconds." in page) == (502, False, True)


@pytest.mark.parametrize("accepted", [PROGRAM, "Accept: application/problem+json"])
def test_programs_get_problem_details(site_without_application, accepted):
    status, fields, content = get(site_without_application, "/api", accepted)
    assert (status, fields["Content-Type"], fields["Vary"]) == (502, "application/problem+json", "Accept")
    assert json.loads(content) == {
        "type": "about:blank",
        "status": 502,
        "title": "Back in a moment",
        "detail": "The site is not responding. It may be restarting. Please try again in a few seconds.",
        "request_id": fields["X-Request-ID"],
    }


@pytest.mark.parametrize("accepted", ["Accept: */*", "X-None: 1", "Accept: text/html, application/json"])
def test_everybody_else_gets_the_page(site_without_application, accepted):
    assert get(site_without_application, "/", accepted)[1]["Content-Type"] == "text/html; charset=utf-8"


REFUSED = {
    "Host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n", 400),
    "no path": (b"GET a HTTP/1.1\r\nHost: a\r\n", 400),
    "dots that lead out": (b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n", 400),
    "Referer that controls a terminal": (b"GET / HTTP/1.1\r\nHost: a\r\nReferer: \x1b[2J\r\n", 400),
    "file with a dot in front": (b"GET /static/.published.json HTTP/1.1\r\nHost: a\r\n", 404),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n", 405),
    "target of 9 KB": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n", 414),
    "field of 9 KB": (b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"a" * 9000 + b"\r\n", 431),
    "fields of 40 KB": (
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"a" * 4000) for n in range(10)),
        431,
    ),
    "unknown transfer coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: zip\r\n", 501),
}


@pytest.mark.parametrize("sent", REFUSED)
def test_request_that_nginx_refuses_gets_a_page_too(site, sent):
    head, status = REFUSED[sent]
    received = site.send(head + b"Connection: close\r\n\r\n").decode()
    fields, _, page = received.partition("\r\n\r\n")
    assert fields.startswith(f"HTTP/1.1 {status} ")
    assert "Cache-Control: no-store\r\n" in fields
    assert f'<div class="code">{status}</div>' in page
    assert re.search("Request ID: [0-9a-f]{32}</small>", page)


def test_programs_and_head_get_them_in_their_form(site):
    status, fields, content = get(site, "/static/.published.json", PROGRAM)
    assert (status, fields["Content-Type"], json.loads(content)["title"]) == (
        404, "application/problem+json", "Page not found"
    )  # fmt: skip
    status, fields, content = get(site, "/static/.published.json", BROWSER, method="HEAD")
    assert (status, fields["Content-Type"], content) == (404, "text/html; charset=utf-8", "")


def test_request_that_nginx_cannot_read_is_not_redirected():
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
        running_nginx(server, Path(name), before=redirect_all) as port,
    ):
        site = Site(port, Recorder(), Path(name))
        assert b" 308 " in site.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b" 400 " in site.send(b"GET a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


def redirect_all(directory: Path) -> None:
    """As with HTTPS_ONLY=1, which needs HTTPS."""
    site = directory / "kit/nginx/snippets/site.conf"
    site.write_text((directory / "kit/nginx/snippets/redirect.conf").read_text() + site.read_text())


def luminance(color: str) -> float:
    """Relative, as WCAG 2.1 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_the_contrast_that_wcag_asks_for(scheme):
    page = (REPOSITORY / "nginx/pages/page.html").read_text()
    colors = [dict(re.findall("--(\\w+): (#[0-9a-f]{6})", line)) for line in page.splitlines() if "--ink" in line][
        scheme
    ]
    for name in ("ink", "soft", "rope"):
        less, more = sorted(luminance(colors[each]) for each in (name, "paper"))
        assert (more + 0.05) / (less + 0.05) >= 4.5, name


def test_page_of_the_site_s_own(site_without_application):
    too_large = f"Content-Length: {100 << 20}"
    assert get(site_without_application, "/", BROWSER, too_large, method="POST")[2] == "our page, 413"
    # in this format there is none
    assert json.loads(get(site_without_application, "/", PROGRAM, too_large, method="POST")[2])["status"] == 413


@pytest.mark.parametrize("name", ["502", "page.html", "maintenance"])
def test_pages_have_no_address_of_their_own(site_without_application, name):
    assert get(site_without_application, f"/_errors/{name}")[0] == 404


@pytest.mark.parametrize(
    "name",
    ["400", "403", "404", "405", "413", "414", "429", "431", "501", "502", "503", "504", "maintenance", "response"],
)
@pytest.mark.parametrize("accepted", [BROWSER, PROGRAM])
def test_each_page_has_its_own_words(name, accepted):
    """All that an error can lead to: the names in errors.conf have texts in pages.conf."""
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as folder,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
    ):

        def show(directory: Path) -> None:
            site = directory / "kit/nginx/snippets/site.conf"
            site.write_text(
                f"{site.read_text()}\nlocation = /shown {{ error_page 418 /_errors/{name}; return 418; }}\n"
            )

        with running_nginx(server, Path(folder), before=show) as port:
            content = get(Site(port, Recorder(), Path(folder)), "/shown", accepted)[2]
    if accepted == PROGRAM:
        shown = json.loads(content)
        title, text = shown["title"], shown["detail"]
    else:
        title = re.search("<title>(.*)</title>", content)[1]
        text = "".join(re.findall("<p>(.*)</p>", content))
    assert title
    assert text.count(".") >= 2


def maintenance(site, *arguments):
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    command = ["bash", str(site.directory / "kit/bin/maintenance"), *arguments]
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30, **user)


@pytest.fixture
def quiet(site):
    yield site
    assert maintenance(site, "off").returncode == 0
    assert get(site, "/")[0] == 200


def test_maintenance_on_and_off(quiet):
    assert maintenance(quiet, "status").returncode == 1
    assert maintenance(quiet, "on", "300").returncode == 0
    # from the moment at which the command has ended
    status, fields, page = get(quiet, "/any", BROWSER)
    assert (status, fields["Retry-After"], fields["Cache-Control"]) == (503, "300", "no-store")
    assert "<h1>Down for maintenance</h1>" in page
    assert '<meta http-equiv="refresh" content="300">' in page
    assert get(quiet, "/any", PROGRAM, "Content-Length: 3", method="POST", content="a=b")[0] == 503
    wait_until(lambda: quiet.logged()[-1]["hint"] == "maintenance", "the log says why")
    shown = maintenance(quiet, "status")
    assert (shown.returncode, shown.stdout[:12]) == (0, "on since 202")
    assert maintenance(quiet, "off").returncode == 0
    assert get(quiet, "/any")[0] == 200
    wait_until(lambda: quiet.logged()[-1]["hint"] == "", "the log says nothing")


def test_another_container_with_the_volume_leaves_it_to_nginx(quiet):
    """As a job of Docker Swarm does; here the test is the watcher that takes it."""

    def leave_and_take(*arguments):
        with ThreadPoolExecutor(1) as thread:
            left = thread.submit(maintenance, quiet, "leave", *arguments)
            taken = quiet.directory / "srv/state/maintenance.left"
            wait_until(taken.exists, "it is left")
            assert maintenance(quiet, "take").returncode == 0
            return left.result()

    assert leave_and_take("on", "120", "203.0.113.7").returncode == 0
    assert get(quiet, "/")[0] == 503
    assert leave_and_take("off").returncode == 0
    assert get(quiet, "/")[0] == 200
    # an nginx that starts takes it too
    (quiet.directory / "srv/state/maintenance.left").write_text("60\n")
    assert maintenance(quiet, "write").returncode == 0
    assert maintenance(quiet, "status").returncode == 0
    assert "soon" in maintenance(quiet, "leave", "on", "soon").stderr
    assert maintenance(quiet, "leave").stderr == "maintenance: leave: on or off has to follow\n"


def test_health_checks_get_the_applications_response_meanwhile(quiet):
    maintenance(quiet, "on", "300")
    assert get(quiet, "/")[0] == 503
    assert get(quiet, "/health")[2] == "app"


def test_addresses_that_are_excepted_get_the_site(quiet):
    maintenance(quiet, "on", "60", "203.0.113.7", "127.0.0.0/8", "2001:db8::/32")
    assert "except for 203.0.113.7 127.0.0.0/8 2001:db8::/32" in maintenance(quiet, "status").stdout
    assert get(quiet, "/")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["on", "soon"], "maintenance: RETRY_AFTER='soon': must be seconds from 1 to 9999999\n"),
        (["on", "0"], "maintenance: RETRY_AFTER='0': must be seconds from 1 to 9999999\n"),
        (
            ["on", "60", "example.org;"],
            "maintenance: ALLOW='example.org;': must be addresses or networks, such as 203.0.113.7 or 2001:db8::/32\n",
        ),
        (["on", "60", "1.2.3.400"], "maintenance: nginx does not accept this: "),
        (["up"], "maintenance: 'up': must be on, off, status or write\n"),
    ],
)
def test_wrong_arguments_change_nothing(quiet, arguments, said):
    done = maintenance(quiet, *arguments)
    assert (done.returncode, done.stderr[: len(said)]) == (2, said)
    assert maintenance(quiet, "status").returncode == 1
    assert get(quiet, "/")[0] == 200


def test_maintenance_outlives_nginx():
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as folder,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
    ):
        kept = "60\n203.0.113.7\n"
        with running_nginx(
            server, Path(folder), before=lambda directory: (directory / "srv/state/maintenance").write_text(kept)
        ) as port:
            site = Site(port, Recorder(), Path(folder))
            status, fields, _ = get(site, "/")
        assert (status, fields["Retry-After"]) == (503, "60")


OWN_ID = "order-7f3a.2026_11"


@pytest.fixture
def site_that_fails(tmp_path):
    """Behind a trusted proxy, with an application that raises; and the server's error log."""

    def fail(environ, start_response):
        if environ["PATH_INFO"] == "/healthz":
            return application(environ, start_response)
        raise KeyError("price")

    log = tmp_path / "server.log"
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(
            fail, bind="127.0.0.1:0", request_id="environ", forwarded_allow_ips="127.0.0.1", error_logfile=str(log)
        ) as server,
        running_nginx(server, Path(name), TRUSTED_PROXIES="127.0.0.0/8") as port,
    ):
        yield Site(port, Recorder(), Path(name)), server, log


def test_id_of_a_trusted_client_is_on_every_page_and_in_every_log(site_that_fails):
    site, server, log = site_that_fails
    sent = f"X-Request-ID: {OWN_ID}"
    # the server's own 500
    status, fields, _ = get(site, "/", BROWSER, sent)
    assert (status, fields["X-Request-ID"]) == (500, OWN_ID)
    wait_until(lambda: f"(request id {OWN_ID})" in log.read_text(), "the server has logged the exception")
    # nginx's page, and its problem details
    server.stop()
    status, fields, page = get(site, "/", BROWSER, sent)
    assert (status, fields["X-Request-ID"]) == (502, OWN_ID)
    assert f"Request ID: {OWN_ID}</small>" in page
    status, fields, content = get(site, "/", PROGRAM, sent)
    assert (status, fields["X-Request-ID"], json.loads(content)["request_id"]) == (502, OWN_ID, OWN_ID)
    wait_until(lambda: len(site.logged()) >= 3, "nginx has logged them")
    assert [line["request_id"] for line in site.logged()[-3:]] == [OWN_ID] * 3


def test_id_of_anybody_else_is_on_no_page(site_without_application):
    _, fields, page = get(site_without_application, "/", BROWSER, f"X-Request-ID: {OWN_ID}")
    assert OWN_ID not in page + str(fields)
    assert f"Request ID: {fields['X-Request-ID']}</small>" in page
