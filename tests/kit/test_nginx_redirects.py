"""REDIRECT_HOSTS: names that lead to the site's, with a real nginx and no container; over TLS, test_https.py."""

import pytest

from tests.kit.test_nginx_requests import running_site

pytestmark = pytest.mark.nginx

NAMES = {"SERVER_NAME": "shop.example blog.shop.example", "REDIRECT_HOSTS": "www.shop.example Shop-Old.example"}


@pytest.fixture(scope="module")
def site():
    with running_site(**NAMES) as running:
        yield running


def location(site, target, *fields, method="GET", content=""):
    """The status and the Location of the response, and what the application saw."""
    head = "".join(f"{field}\r\n" for field in (*fields, f"Content-Length: {len(content)}", "Connection: close"))
    received = site.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n{content}".encode()).decode()
    lines = received.partition("\r\n\r\n")[0].split("\r\n")
    found = [line.partition(": ")[2] for line in lines if line.startswith("Location: ")]
    return int(lines[0].split()[1]), *found, site.take()


@pytest.mark.parametrize(
    ("host", "target", "wanted"),
    [
        ("www.shop.example", "/", "http://shop.example/"),
        ("WWW.shop.example:8080", "/a%20b/?c=d&e=%2F", "http://shop.example:8080/a%20b/?c=d&e=%2F"),
        ("shop-old.example.", "/static/a.css", "http://shop.example/static/a.css"),
        ("www.shop.example", "//evil.example/", "http://shop.example//evil.example/"),
        ("www.shop.example", "http://www.shop.example:81/x?", "http://shop.example:81/x?"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_name_leads_to_the_first_one_of_the_site_with_path_and_query(site, host, target, wanted, method):
    content = "a=b" if method == "POST" else ""
    found = location(site, target, f"Host: {host}", method=method, content=content)
    assert found == (308, wanted, [])


def test_names_of_the_site_are_served(site):
    for name in NAMES["SERVER_NAME"].split():
        status, seen = site.get(f"Host: {name}")
        assert (status, [each["HTTP_HOST"] for each in seen]) == (200, [name])


def test_challenge_of_an_issuer_is_answered_for_these_names_too(site):
    folder = site.directory / "srv/tls/webroot/.well-known/acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("key")
    request = "GET /.well-known/acme-challenge/{} HTTP/1.1\r\nHost: www.shop.example\r\nConnection: close\r\n\r\n"
    assert site.send(request.format("token").encode()).endswith(b"\r\n\r\nkey")
    found = location(site, "/.well-known/acme-challenge/other", "Host: www.shop.example")
    assert found == (308, "http://shop.example/.well-known/acme-challenge/other", [])


def test_host_that_differs_from_the_name_is_refused(site):
    assert location(site, "http://www.shop.example/", "Host: evil.example")[0] == 400
    assert site.get("Host: other.example") == (None, [])


def test_scheme_and_port_that_a_trusted_proxy_names_are_kept():
    with running_site(**NAMES, TRUSTED_PROXIES="127.0.0.1") as site:
        forwarded = ("X-Forwarded-Proto: https", "X-Forwarded-Host: www.shop.example:444")
        found = location(site, "/a?b", "Host: www.shop.example", *forwarded)
        assert found == (308, "https://shop.example:444/a?b", [])
        assert location(site, "/", "Host: www.shop.example", forwarded[0]) == (308, "https://shop.example/", [])


def test_name_may_be_as_long_as_names_can_be():
    name = ".".join(["a" * 61, "b" * 61, "c" * 61, "d" * 61])
    with running_site(SERVER_NAME="shop.example", REDIRECT_HOSTS=name) as site:
        assert location(site, "/", f"Host: {name}") == (308, "http://shop.example/", [])
