"""Checked response heads, and that what is cached is what the check returns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import Enum, StrEnum
from typing import Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ApplicationError
from ropewalk.wsgi import response_head
from ropewalk.wsgi.response_head import MAX_CACHED_VALUE, DefaultFields, check_response_head
from tests.helpers.response_heads import values

HEADERS = [("Content-Type", "text/plain"), ("X-Of-The-Test", "of test_response_head"), ("Content-Length", "13")]


class Marked(str):
    """Text of a class of its own, as frameworks mark what is safe in a template."""


class Misleading(str):
    """Text whose methods do not return what it holds, and which cannot be a key."""

    __hash__ = None

    def __str__(self) -> str:
        return "wrong\r\n"

    def __format__(self, spec: str) -> str:
        return "wrong\r\n"

    def __getitem__(self, index: Any) -> str:
        return "wrong\r\n"

    def __int__(self) -> int:
        return 99


class Kind(StrEnum):
    TEXT = "text/plain"
    NAME = "Content-Type"


class LikeText(str, Enum):  # noqa: UP042 - what is tested
    """As before StrEnum; its `str()` is its name."""

    OK = "200 OK"
    TEXT = "text/plain"


class Header(NamedTuple):
    name: str
    value: str


def clear_caches() -> None:
    response_head._line_cache.clear()
    response_head._name_cache.clear()
    response_head.cached_heads().clear()
    response_head._check_status_text.cache_clear()


def outcome(status: Any, headers: Any) -> dict[str, Any] | str:
    try:
        return values(check_response_head(status, headers))
    except ApplicationError as error:
        return str(error)


texts = st.sampled_from(
    ["", "0", "5", "05", "+5", "text/plain", "a\r\nb", "a\0", "\xe9", "€", " ", "close", "v" * (MAX_CACHED_VALUE + 1)]
)
names = st.sampled_from(
    ["Content-Type", "Content-Length", "content-length", "Date", "server", "Connection", "X-A", "x-a", "Set-Cookie"]
) | st.sampled_from(["", "X A", "X-A: b\r\nX-C"])
good = st.tuples(names | names.map(Marked), texts | texts.map(Marked))
good = good | good.map(lambda header: Header(*header)) | st.just((Kind.NAME, Kind.TEXT))
bad: Any = st.one_of(
    st.tuples(names, st.sampled_from([1, None, b"a", ["a"]])),
    st.tuples(st.just(b"X-A"), texts),
    st.tuples(names),
    st.lists(texts, min_size=2, max_size=2),
    st.sampled_from([None, "X-A", 5]),
)
statuses: Any = st.sampled_from(
    ["200 OK", Marked("200 OK"), "204 No Content", "205 Reset Content", "304 Not Modified", "200", "OK"]
) | st.sampled_from([b"200 OK", 200, None])
calls = st.lists(st.tuples(statuses, st.lists(st.one_of(good, good, good, bad), max_size=4)), max_size=6)


@given(calls)
def test_a_cached_head_is_that_of_the_check(calls: list[tuple[Any, list[Any]]]) -> None:
    """Whatever was checked before, a head is the one that it is with empty caches, and so is an error."""
    expected = []
    for status, headers in calls:
        clear_caches()
        expected.append(outcome(status, list(headers)))
    clear_caches()
    for _ in range(2):
        assert [outcome(status, list(headers)) for status, headers in calls] == expected


@pytest.mark.parametrize("header", [("X-A", ["a"]), ("X-A", {}), (["X-A"], "a")])
def test_a_header_that_cannot_be_hashed_is_an_error_of_the_application(header: Any) -> None:
    with pytest.raises(ApplicationError, match="must be a tuple of two str"):
        check_response_head("200 OK", [header])


def test_text_of_a_class_of_str_is_accepted_the_first_time_too() -> None:
    plain = [("X-A", "b"), ("Content-Type", "text/plain"), ("Content-Length", "7"), ("ETag", '"a"')]
    for is_cached in (False, True):
        for status in ("200 OK", Marked("200 OK"), Misleading("200 OK"), LikeText.OK):
            for make in (
                lambda text: text,
                Marked,
                Misleading,
                lambda text: LikeText.TEXT if text == LikeText.TEXT else text,
            ):
                for make_header in (Header, lambda name, value: (name, value)):
                    clear_caches()
                    if is_cached:
                        check_response_head("200 OK", plain)
                    head = check_response_head(status, [make_header(make(name), make(value)) for name, value in plain])
                    assert head.encoded == (
                        b'HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nETag: "a"\r\n'
                    )
                    assert head.content_length == 7
                    assert values(head) == values(check_response_head("200 OK", plain))
                    texts = [head.status, *(text for header in head.headers for text in header)]
                    assert {type(text) for text in texts} == {str}
                    assert {type(header) for header in head.headers} == {tuple}


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=5), st.sampled_from(["", "x", "ropewalk"]), st.booleans())
def test_the_tail_of_a_head_is_that_of_the_general_path(seconds: list[int], server: str, keeps_alive: bool) -> None:
    fields = DefaultFields(server)
    for second in seconds:  # the clock may also be set back
        with mock.patch.object(response_head.time, "time", return_value=second + 0.5):
            close = b"" if keeps_alive else b"Connection: close\r\n"
            assert fields.tail(keeps_alive) == DefaultFields(server)() + close + b"\r\n"


def test_a_head_is_the_same_in_every_thread_and_found_again_in_each() -> None:
    def twice() -> bytes:
        check_response_head("200 OK", list(HEADERS))  # its lines are cached now
        first = check_response_head("200 OK", list(HEADERS))
        assert check_response_head("200 OK", list(HEADERS)) is first
        return first.encoded

    expected = check_response_head("200 OK", list(HEADERS)).encoded
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: twice(), range(8))) == {expected}
