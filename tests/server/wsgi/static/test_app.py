"""`--static`: what is answered for a file, under the validator of PEP 3333, with and without a file wrapper."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.errors import ConfigError
from ropewalk.wsgi.file_wrapper import FileWrapper as OwnWrapper
from ropewalk.wsgi.file_wrapper import plain_range
from ropewalk.wsgi.static.app import IMMUTABLE, REVALIDATE, StaticFiles

CSS = b"body { color: teal }\n" * 20000
CHANGED = 1_700_000_000
FALLEN_THROUGH = b"the application's"


@dataclass
class Answer:
    status: str
    headers: dict[str, str]
    content: bytes


Get = Callable[..., Answer]


def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [FALLEN_THROUGH]


def put(root: Path, name: str, content: bytes, changed: float = CHANGED) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed, changed))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "secret.txt", b"secret")
    put(tmp_path, "static/css/base.css", CSS)
    put(tmp_path, "static/css/base.5af66c1b1797.css", CSS)
    put(tmp_path, "static/empty.txt", b"")
    put(tmp_path, "static/été.txt", b"summer")
    return tmp_path / "static"


@pytest.fixture(params=["with a file wrapper", "without"])
def get(root: Path, request: pytest.FixtureRequest) -> Iterator[Get]:
    static = StaticFiles(application, {"/static/": str(root)})
    before = sorted(os.listdir("/proc/self/fd"))

    def get(path: str, method: str = "GET", **fields: str) -> Answer:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": ""}
        environ |= {f"HTTP_{name.upper()}": value for name, value in fields.items()}
        setup_testing_defaults(environ)
        if request.param == "with a file wrapper":
            environ["wsgi.file_wrapper"] = FileWrapper
        return call(static, environ)

    yield get
    assert sorted(os.listdir("/proc/self/fd")) == before


def call(static: StaticFiles, environ: dict[str, Any]) -> Answer:
    responses: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        responses.append((status, headers))
        return lambda data: None

    iterable = validator(static)(environ, start_response)
    try:
        content = b"".join(iterable)
    finally:
        iterable.close()
    [(status, headers)] = responses
    table = dict(headers)
    assert len(table) == len(headers)
    return Answer(status, table, content)


def test_file_is_sent_whole(get: Get) -> None:
    response = get("/static/css/base.css")
    assert response.status == "200 OK"
    assert response.content == CSS
    assert response.headers["Content-Length"] == str(len(CSS))
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.headers["ETag"].startswith('"')
    assert "Content-Encoding" not in response.headers
    assert "Vary" not in response.headers


def test_head_has_the_headers_of_get_and_no_content(get: Get) -> None:
    for path in ("/static/css/base.css", "/static/empty.txt"):
        head, whole = get(path, "HEAD"), get(path)
        assert head.content == b""
        assert (head.status, head.headers) == (whole.status, whole.headers)


def test_empty_file_is_sent(get: Get) -> None:
    response = get("/static/empty.txt")
    assert (response.status, response.content, response.headers["Content-Length"]) == ("200 OK", b"", "0")


def test_name_with_a_hash_is_kept_forever_and_others_are_asked_about(get: Get, root: Path) -> None:
    for name in ("x.0123456789ab", "d/x.min.0123456789ab.js", "x.css.0123456789ab.map"):
        put(root, name, b"x")
        assert get(f"/static/{name}").headers["Cache-Control"] == IMMUTABLE
    for name in ("x.0123456789a.js", "x.0123456789abc.js", "x.0123456789AB.js", "0123456789ab.js", "d.0123456789ab/x"):
        put(root, name, b"x")
        assert get(f"/static/{name}").headers["Cache-Control"] == REVALIDATE


def test_path_is_bytes_in_latin_1(get: Get) -> None:
    assert get("/static/" + "été.txt".encode().decode("latin-1")).content == b"summer"
    assert get("/static/été.txt").content == FALLEN_THROUGH


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/static",
        "/static/",
        "/static/css",
        "/static/css/",
        "/static/nothing.css",
        "/static/../secret.txt",
        "/static/css/../../secret.txt",
        "/static//css/base.css",
        "//static/css/base.css",
        "/STATIC/css/base.css",
        "/staticcss/base.css",
    ],
)
def test_everything_else_falls_through(get: Get, path: str) -> None:
    assert get(path).content == FALLEN_THROUGH


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_the_applications(get: Get, method: str) -> None:
    assert get("/static/css/base.css", method).content == FALLEN_THROUGH


def test_path_that_is_not_latin_1_falls_through(root: Path) -> None:
    static = StaticFiles(application, {"/": str(root)})
    assert b"".join(static({"REQUEST_METHOD": "GET", "PATH_INFO": "/\u20ac"}, lambda *_: None)) == FALLEN_THROUGH


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(["..", ".", "", "css", "secret.txt", "static", "\x00", "\xff"])
        | st.text(st.characters(max_codepoint=255), max_size=3),
        max_size=8,
    ).map("/".join)
)
def test_no_path_gives_away_the_secret(root: Path, path: str) -> None:
    static = StaticFiles(application, {"/static/": str(root), "/": str(root / "css")})
    for path_info in (f"/static/{path}", f"/{path}", path):
        environ: dict[str, Any] = {"PATH_INFO": path_info}
        setup_testing_defaults(environ)
        iterable = static(environ, lambda *_: None)
        assert b"secret" not in b"".join(iterable)
        if hasattr(iterable, "close"):
            iterable.close()


def test_longest_prefix_goes_first_and_a_shorter_one_has_what_it_lacks(tmp_path: Path) -> None:
    put(tmp_path, "outer/admin/a.txt", b"outer a")
    put(tmp_path, "outer/admin/b.txt", b"outer b")
    put(tmp_path, "inner/a.txt", b"inner a")
    mounts = {"/s": str(tmp_path / "outer"), "/s/admin/": str(tmp_path / "inner")}
    static = StaticFiles(application, mounts)
    for path, expected in (("a", b"inner a"), ("b", b"outer b")):
        environ: dict[str, Any] = {"PATH_INFO": f"/s/admin/{path}.txt", "SCRIPT_NAME": "", "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        assert call(static, environ).content == expected


@pytest.mark.parametrize(("prefix", "directory"), [("static/", "/"), ("", "/"), ("/x/", "/nowhere/at/all")])
def test_bad_mount_is_a_config_error(prefix: str, directory: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StaticFiles(application, {prefix: directory})
    assert caught.value.setting == "static"
    assert len(str(caught.value).splitlines()) == 1


# Conditional requests


def test_known_entity_tag_gets_304_without_content(get: Get) -> None:
    tag = get("/static/css/base.css").headers["ETag"]
    for method in ("GET", "HEAD"):
        response = get("/static/css/base.css", method, if_none_match=f'"x", W/{tag}')
        assert (response.status, response.content) == ("304 Not Modified", b"")
        assert response.headers == {"ETag": tag, "Cache-Control": REVALIDATE}
    assert get("/static/css/base.css", if_none_match='"x"').status == "200 OK"


def test_entity_tag_changes_with_the_content(get: Get, root: Path) -> None:
    before = get("/static/css/base.css").headers["ETag"]
    put(root, "css/base.css", CSS, CHANGED + 0.001)
    after = get("/static/css/base.css").headers["ETag"]
    assert before != after
    put(root, "css/base.css", CSS + b"x", CHANGED + 0.001)
    assert get("/static/css/base.css").headers["ETag"] not in (before, after)


def test_date_is_compared_where_there_is_no_entity_tag(get: Get) -> None:
    date, before = formatdate(CHANGED, usegmt=True), formatdate(CHANGED - 1, usegmt=True)
    assert get("/static/css/base.css", if_modified_since=date).status == "304 Not Modified"
    assert get("/static/css/base.css", if_modified_since=before).status == "200 OK"
    assert get("/static/css/base.css", if_modified_since=date, if_none_match='"x"').status == "200 OK"


def test_failed_precondition_is_412(get: Get) -> None:
    tag = get("/static/css/base.css").headers["ETag"]
    for fields in ({"if_match": '"x"'}, {"if_match": f"W/{tag}"}, {"if_unmodified_since": formatdate(0, usegmt=True)}):
        response = get("/static/css/base.css", range="bytes=0-0", **fields)
        assert response.status == "412 Precondition Failed"
        assert response.content == b"412 Precondition Failed\n"
    assert get("/static/css/base.css", if_match=tag).status == "200 OK"


def test_file_that_has_just_changed_has_no_date_yet(get: Get, root: Path) -> None:
    """A second change within the same second would go unseen."""
    (root / "new.txt").write_bytes(b"new")
    response = get("/static/new.txt")
    assert "Last-Modified" not in response.headers
    assert "ETag" in response.headers
    put(root, "future.txt", b"x", 4_000_000_000)
    assert "Last-Modified" not in get("/static/future.txt").headers


# Ranges


@pytest.mark.parametrize(
    ("field_value", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-100004", 5, 100004),
        ("bytes=-7", len(CSS) - 7, len(CSS) - 1),
        (f"bytes={len(CSS) - 1}-", len(CSS) - 1, len(CSS) - 1),
    ],
)
def test_range_gets_206(get: Get, field_value: str, first: int, last: int) -> None:
    response = get("/static/css/base.css", range=field_value)
    assert response.status == "206 Partial Content"
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{len(CSS)}"
    assert response.headers["Content-Length"] == str(last - first + 1)
    assert response.content == CSS[first : last + 1]


def test_range_that_is_not_there_is_416_with_the_length(get: Get) -> None:
    response = get("/static/css/base.css", range=f"bytes={len(CSS)}-")
    assert response.status == "416 Range Not Satisfiable"
    assert response.headers["Content-Range"] == f"bytes */{len(CSS)}"
    assert response.content == b"416 Range Not Satisfiable\n"
    assert get("/static/empty.txt", range="bytes=0-").status == "416 Range Not Satisfiable"
    assert get("/static/empty.txt", range="bytes=-1").status == "200 OK"


@pytest.mark.parametrize("field_value", ["bytes=0-1,5-6", "lines=1-2", "bytes=x"])
def test_range_that_is_not_understood_gets_the_whole_file(get: Get, field_value: str) -> None:
    assert get("/static/css/base.css", range=field_value).status == "200 OK"


def test_range_means_nothing_to_head(get: Get) -> None:
    response = get("/static/css/base.css", "HEAD", range="bytes=0-0")
    assert (response.status, response.headers["Content-Length"]) == ("200 OK", str(len(CSS)))


def test_if_range_with_an_old_validator_gets_the_whole_file(get: Get) -> None:
    tag = get("/static/css/base.css").headers["ETag"]
    date = formatdate(CHANGED, usegmt=True)
    for if_range in (tag, date):
        assert get("/static/css/base.css", range="bytes=0-0", if_range=if_range).status == "206 Partial Content"
    for if_range in ('"x"', f"W/{tag}", formatdate(CHANGED + 1, usegmt=True), "x"):
        response = get("/static/css/base.css", range=f"bytes={len(CSS)}-", if_range=if_range)
        assert (response.status, response.content) == ("200 OK", CSS)


def test_known_entity_tag_goes_before_a_range(get: Get) -> None:
    tag = get("/static/css/base.css").headers["ETag"]
    response = get("/static/css/base.css", range=f"bytes={len(CSS)}-", if_none_match=tag)
    assert response.status == "304 Not Modified"


def test_file_that_grew_after_it_was_opened_is_sent_as_long_as_was_said(root: Path) -> None:
    static = StaticFiles(application, {"/static/": str(root)})
    environ: dict[str, Any] = {"PATH_INFO": "/static/css/base.css"}
    setup_testing_defaults(environ)
    iterable = static(environ, lambda *_: None)
    put(root, "css/base.css", CSS + b"more")
    assert b"".join(iterable) == CSS
    iterable.close()


def test_our_own_wrapper_is_given_a_file_that_sendfile_can_send(root: Path) -> None:
    static = StaticFiles(application, {"/static/": str(root)})
    environ: dict[str, Any] = {
        "PATH_INFO": "/static/css/base.css",
        "HTTP_RANGE": "bytes=5-9",
        "wsgi.file_wrapper": OwnWrapper,
    }
    setup_testing_defaults(environ)
    wrapper = static(environ, lambda *_: None)
    assert isinstance(wrapper, OwnWrapper)
    found = plain_range(wrapper.filelike)
    assert found is not None
    assert (found.offset, found.length) == (5, len(CSS) - 5)
    wrapper.close()


def test_file_is_closed_when_start_response_or_the_wrapper_raises(root: Path) -> None:
    static = StaticFiles(application, {"/static/": str(root)})

    def fail(*_: object) -> Any:
        raise ValueError("no")

    before = sorted(os.listdir("/proc/self/fd"))
    environ: dict[str, Any] = {"PATH_INFO": "/static/css/base.css"}
    setup_testing_defaults(environ)
    with pytest.raises(ValueError, match="no"):
        static(environ, fail)
    with pytest.raises(ValueError, match="no"):
        static(environ | {"wsgi.file_wrapper": fail}, lambda *_: None)
    assert sorted(os.listdir("/proc/self/fd")) == before


# Compressed files beside the plain one


@pytest.fixture
def compressed(root: Path) -> None:
    put(root, "css/base.css.gz", b"gzip")
    put(root, "css/base.css.br", b"brotli")


@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize(
    ("accepted", "coding", "content"),
    [
        ("gzip, br", "br", b"brotli"),
        ("gzip", "gzip", b"gzip"),
        ("br;q=0.1, gzip", "gzip", b"gzip"),
        ("deflate", None, CSS),
        ("", None, CSS),
        ("gzip;q=0, br;q=0", None, CSS),
    ],
)
def test_compressed_sibling_is_sent_if_it_is_accepted(
    get: Get, accepted: str, coding: str | None, content: bytes
) -> None:
    response = get("/static/css/base.css", accept_encoding=accepted)
    assert response.content == content
    assert response.headers.get("Content-Encoding") == coding
    assert response.headers["Content-Length"] == str(len(content))
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.usefixtures("compressed")
def test_each_coding_has_an_entity_tag_of_its_own(get: Get, root: Path) -> None:
    put(root, "css/base.css", b"123456")
    tags = {get("/static/css/base.css", accept_encoding=accepted).headers["ETag"] for accepted in ("br", "gzip", "")}
    assert len(tags) == 3
    tag = get("/static/css/base.css", accept_encoding="gzip").headers["ETag"]
    response = get("/static/css/base.css", accept_encoding="gzip", if_none_match=tag)
    assert (response.status, response.headers["Vary"]) == ("304 Not Modified", "Accept-Encoding")


@pytest.mark.usefixtures("compressed")
def test_range_is_of_the_compressed_content(get: Get) -> None:
    response = get("/static/css/base.css", accept_encoding="gzip", range="bytes=1-2")
    assert (response.content, response.headers["Content-Range"]) == (b"zi", "bytes 1-2/4")


@pytest.mark.usefixtures("compressed")
def test_compressed_file_asked_for_by_name_is_what_it_is(get: Get) -> None:
    response = get("/static/css/base.css.gz", accept_encoding="gzip")
    assert response.content == b"gzip"
    assert response.headers["Content-Type"] == "application/gzip"
    assert "Content-Encoding" not in response.headers


def test_compressed_file_that_is_older_than_the_plain_one_is_not_sent(get: Get, root: Path) -> None:
    put(root, "css/base.css.br", b"brotli", CHANGED - 1)
    put(root, "css/base.css.gz", b"gzip", CHANGED + 0.5)
    put(root, "css/base.css", CSS, CHANGED + 0.75)
    assert get("/static/css/base.css", accept_encoding="br, gzip").content == b"gzip"


def test_compressed_file_without_the_plain_one_is_not_there(get: Get, root: Path) -> None:
    put(root, "css/x.css.gz", b"gzip")
    assert get("/static/css/x.css", accept_encoding="gzip").content == FALLEN_THROUGH


def test_compressed_sibling_outside_of_the_directory_is_not_sent(get: Get, root: Path) -> None:
    (root / "css" / "base.css.gz").symlink_to("../../secret.txt")
    assert get("/static/css/base.css", accept_encoding="gzip").content == CSS
