"""RFC 9112 section 3.2: the four forms of a request target."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.target import Target, decode_path, parse_target


def target(path: str, query: str, authority: str | None = None, is_https: bool = False) -> Target:
    return path, query, authority, is_https


@pytest.mark.parametrize(
    ("method", "request_target", "expected"),
    [
        ("GET", "/", target("/", "")),
        ("GET", "/a?b?c", target("/a", "b?c")),
        ("GET", "/%41%2F", target("/A/", "")),
        ("GET", "//host/a", target("//host/a", "")),
        ("GET", "http://h", target("/", "", "h")),
        ("GET", "http://h?q", target("/", "q", "h")),
        ("GET", "http://h/?", target("/", "", "h")),
        ("GET", "HtTpS://h:1/%20", target("/ ", "", "h:1", True)),
        ("GET", "http://[::1]/", target("/", "", "[::1]")),
        ("GET", "http://h/@", target("/@", "", "h")),
        ("OPTIONS", "*", target("/", "")),
        ("OPTIONS", "http://h", target("/", "", "h")),
        ("OPTIONS", "http://h/", target("/", "", "h")),
        ("OPTIONS", "http://h?", target("/", "", "h")),
    ],
)
def test_a_form_that_the_method_allows(method: str, request_target: str, expected: Target):
    assert parse_target(method, request_target) == expected


@pytest.mark.parametrize(
    ("method", "request_target", "status_code"),
    [
        ("CONNECT", "h:1", 501),
        ("CONNECT", "/", 501),
        ("GET", "*", 400),
        ("OPTIONS", "**", 400),
        ("GET", "h:1", 400),
        ("GET", "http:/h", 400),
        ("GET", "http://", 400),
        ("GET", "http:///a", 400),
        ("GET", "ftp://h/", 400),
        ("GET", "/%", 400),
        ("GET", "/%4", 400),
        ("GET", "http://h/%zz", 400),
    ],
)
def test_any_other_form_is_refused(method: str, request_target: str, status_code: int):
    with pytest.raises(ProtocolError) as caught:
        parse_target(method, request_target)
    assert caught.value.status_code == status_code


@pytest.mark.parametrize(
    "request_target",
    ["http://u@h/", "http://u:p@h/", "http://u@h", "http://a@b@c/", "http://@h/", "http://u@h?q", "http://u@"],
)
def test_userinfo_is_refused(request_target: str):
    """RFC 9110 section 4.2.4: it hides which host is meant, and a lenient reader would take it for the host."""
    with pytest.raises(ProtocolError) as caught:
        parse_target("GET", request_target)
    assert caught.value.status_code == 400


@given(st.binary())
def test_what_is_encoded_decodes_to_the_same_octets(octets: bytes):
    assert decode_path("/" + quote(octets)) == "/" + octets.decode("latin-1")


@given(st.text(st.characters(max_codepoint=255, exclude_characters="%")))
def test_a_path_without_percent_signs_is_itself(path: str):
    assert decode_path(path) == path


def check_read_or_refused(method: str, request_target: str) -> None:
    """Whatever is read has a path that begins with a slash."""
    try:
        path, _, authority, _ = parse_target(method, request_target)
    except ProtocolError:
        return
    assert path.startswith("/")
    assert authority is None or grammar.HOST.fullmatch(authority)


@given(st.sampled_from(["GET", "OPTIONS", "POST"]), st.from_regex(r'[!"$-~]+', fullmatch=True))
def test_a_target_is_read_or_refused(method: str, request_target: str):
    check_read_or_refused(method, request_target)


@given(st.from_regex(r"https?://[a-z@:/?.\[\]0-9%]{0,20}", fullmatch=True))
def test_an_absolute_target_is_read_or_refused(request_target: str):
    check_read_or_refused("GET", request_target)
