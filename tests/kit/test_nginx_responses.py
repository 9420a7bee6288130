"""Responses that nginx cannot pass on, and redirects that never end: with a real nginx and no container."""

import tempfile
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import ropewalk
from tests.helpers.containers import wait_until
from tests.helpers.nginx import running_nginx
from tests.kit.test_nginx_requests import Recorder, Site

pytestmark = pytest.mark.nginx


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "size" in query:
        # as many cookies make it, since the server limits one field
        fields = [("Set-Cookie", "x" * 1000) for _ in range(int(query["size"][0]))]
        start_response("200 OK", [*fields, ("Content-Length", "3")])
        return [b"ok\n"]
    if environ["PATH_INFO"] == "/bad":
        start_response("502 Bad Gateway", [("Content-Length", "4")])
        return [b"own\n"]
    # as Django's SECURE_SSL_REDIRECT
    target = environ["RAW_URI"] if "RAW_URI" in environ else environ["REQUEST_URI"]
    start_response("301 Moved Permanently", [("Location", f"https://a{target}"), ("Content-Length", "0")])
    return []


@pytest.fixture(scope="module", params=["", "127.0.0.0/8"], ids=["no trusted proxy", "a trusted proxy"])
def site(request):
    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as name,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
        running_nginx(server, Path(name), TRUSTED_PROXIES=request.param) as port,
    ):
        site = Site(port, Recorder(), Path(name))
        site.is_trusted = bool(request.param)
        yield site


def hint_of(site, target, *fields):
    """The head of the response, its content, and the hint in nginx's log."""
    before = len(site.logged())
    lines = [f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]
    head, _, content = site.send("\r\n".join(lines).encode()).partition(b"\r\n\r\n")
    wait_until(lambda: len(site.logged()) > before, "it is logged")
    return int(head.split()[1]), content, site.logged()[-1]["hint"]


def test_head_of_20_kb_is_passed_on(site):
    assert hint_of(site, "/?size=20") == (200, b"ok\n", "")


def test_head_that_is_too_large_is_named_and_is_not_an_application_that_is_away(site):
    status, content, hint = hint_of(site, "/?size=40")
    assert (status, hint) == (502, "the head of the application's response is larger than 32 KB, incomplete or invalid")
    assert b"The site sent a response that cannot be shown." in content
    assert b"not responding" not in content


def test_502_of_the_application_itself_passes_unchanged(site):
    assert hint_of(site, "/bad") == (502, b"own\n", "")


def test_redirect_that_never_ends_for_lack_of_a_trusted_proxy_is_named(site):
    endless = "the peer sends X-Forwarded-Proto: https, but is not in TRUSTED_PROXIES: endless redirect"
    over_tls = "X-Forwarded-Proto: https"
    assert hint_of(site, "/page?a=b", over_tls) == (301, b"", "" if site.is_trusted else endless)
    assert hint_of(site, "/page?a=b")[2] == ""
    assert hint_of(site, "/page", "X-Forwarded-Proto: http")[2] == ""
