"""The letters of the access log, held to what gunicorn documents for them."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ropewalk.config.settings import COMBINED_FORMAT
from ropewalk.logs.access_format import _FRAGMENTS, compile_format
from ropewalk.logs.access_record import AccessRecord

ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/shop/\xc3\xa9",
    "QUERY_STRING": "q=1",
    "RAW_URI": "/shop/%C3%A9?q=1",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_REFERER": 'https://example.org/"x"',
    "HTTP_USER_AGENT": "curl/8\r\nforged",
    "HTTP_X_REQUEST_ID": "abc",
    "CONTENT_TYPE": "text/plain",
    "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"anne:secret").decode(),
    "wsgi.url_scheme": "https",
}


def record(**changes: Any) -> AccessRecord:
    values: dict[str, Any] = {
        "environ": ENVIRON,
        "status": "200 OK",
        "headers": [("Set-Cookie", "a=1"), ("set-cookie", "b=2\n"), ("ETag", '"x"')],
        "body_bytes": 1234,
        "seconds": 1.2345678,
        "is_complete": True,
    }
    return AccessRecord(**{**values, **changes})


def line(format: str, **changes: Any) -> str:
    return compile_format(format)(record(**changes))


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("%(h)s", "192.0.2.1"),
        ("%(l)s", "-"),
        ("%(u)s", "anne"),
        ("%(r)s", "GET /shop/%C3%A9?q=1 HTTP/1.1"),
        ("%(m)s", "GET"),
        ("%(U)s", r"/shop/\xc3\xa9"),
        ("%(q)s", "q=1"),
        ("%(H)s", "HTTP/1.1"),
        ("%(s)s", "200"),
        ("%(B)s", "1234"),
        ("%(b)s", "1234"),
        ("%(f)s", r"https://example.org/\x22x\x22"),
        ("%(a)s", r"curl/8\x0d\x0aforged"),
        ("%(T)s", "1"),
        ("%(M)s", "1234"),
        ("%(D)s", "1234567"),
        ("%(L)s", "1.234568"),
        ("%({X-Request-ID}i)s", "abc"),
        ("%({content-type}i)s", "text/plain"),
        ("%({missing}i)s", "-"),
        ("%({set-cookie}o)s", r"a=1, b=2\x0a"),
        ("%({missing}o)s", "-"),
        ("%({wsgi.url_scheme}e)s", "https"),
        ("%({missing}e)s", "-"),
        ("100%% %(s)d", "100% 200"),
        ("{} {0} %(s)s", "{} {0} 200"),
        ("no letters", "no letters"),
        ("", ""),
    ],
)
def test_a_letter(format: str, text: str) -> None:
    assert line(format) == text


def test_the_process_id_is_that_of_the_worker_that_writes() -> None:
    assert line("%(p)s") == f"<{os.getpid()}>"


def test_the_time_is_that_of_the_combined_format() -> None:
    assert re.fullmatch(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", line("%(t)s"))


def test_no_content_is_0_or_a_dash() -> None:
    assert line("%(B)s %(b)s", body_bytes=0) == "0 -"


def test_a_request_line_without_a_raw_target_is_put_together() -> None:
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/shop", "PATH_INFO": "/a", "QUERY_STRING": "b"}
    assert line("%(r)s", environ=environ) == "GET /shop/a?b -"


def test_a_request_that_was_refused_before_it_had_an_environ_has_its_line() -> None:
    text = line(COMBINED_FORMAT, environ={}, status="400 Bad Request", body_bytes=0)
    assert re.fullmatch(r'- - - \[[^\]]*\] "-" 400 - "-" "-"', text)


@pytest.mark.parametrize(
    "authorization", ["Bearer x", "Basic", "Basic %%%", "Basic é", "Basic " + base64.b64encode(b":").decode()]
)
def test_an_authorization_without_a_user_name_is_a_dash(authorization: str) -> None:
    assert line("%(u)s", environ={"HTTP_AUTHORIZATION": authorization}) == "-"


@pytest.mark.parametrize("format", ["%(x)s", "%(h)", "%s", "%", "%(h)x", "%({a}x)s", "%({}i)s", "%(h", "a\nb"])
def test_an_unknown_letter_is_refused_with_the_known_ones(format: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        compile_format(format)


@pytest.mark.parametrize("name", ["' + os + '", "record", "template", "__builtins__"])
def test_a_name_in_a_format_is_never_code(name: str) -> None:
    assert line(f"%({{{name}}}i)s %({{{name}}}e)s %({{{name}}}o)s") == "- - -"


LETTERS = [f"%({letter})s" for letter in _FRAGMENTS if letter != "t"] + ["%({a}i)s", "%({HTTP_HOST}e)s", "%({etag}o)s"]
KEYS = [key for key in ENVIRON if key.isupper()] + ["HTTP_A", "HTTP_HOST", "REQUEST_URI", "ropewalk.request_id"]
VALUES = st.one_of(
    st.text("aZ/?% ", max_size=4),
    st.text('a"\\\n\xe9\u2028', max_size=4),
    st.sampled_from([None, 0, 1, b"", b"x", True, [], 0.5]),
)


@given(
    letters=st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4),
    environ=st.dictionaries(st.sampled_from(KEYS), VALUES),
    seconds=st.floats(0, 1e6),
)
@example(letters=LETTERS, environ=dict.fromkeys(KEYS, "plain"), seconds=0.0)
@example(letters=["%(r)s"], environ={"REQUEST_METHOD": "GET", "RAW_URI": "", "SERVER_PROTOCOL": ""}, seconds=0.0)
@example(letters=["%(r)s"], environ={"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": 1}, seconds=0.0)
def test_a_plain_line_equals_the_escaped_one(letters: list[str], environ: dict[str, Any], seconds: float) -> None:
    """A value at the end decides which of the two is used, and changes nothing before it."""
    write = compile_format(" ".join([*letters, "%({end}e)s"]))
    it = record(environ=environ, seconds=seconds, queue=seconds, request_bytes=0)
    environ["end"] = "plain"
    line_as_it_comes = write(it)
    environ["end"] = '"'
    assert write(it).removesuffix(r"\x22") == line_as_it_comes.removesuffix("plain")
