"""RFC 9110 section 14: what a Range field asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http.ranges import ByteRange, Unsatisfiable, select_range

HUGE = "9" * 6000

SATISFIED = [
    ("bytes=0-0", 10, 0, 1, "bytes 0-0/10"),
    ("bytes=0-9", 10, 0, 10, "bytes 0-9/10"),
    ("bytes=0-10", 10, 0, 10, "bytes 0-9/10"),
    ("bytes=9-", 10, 9, 1, "bytes 9-9/10"),
    ("bytes=0-", 10, 0, 10, "bytes 0-9/10"),
    ("bytes=-1", 10, 9, 1, "bytes 9-9/10"),
    ("bytes=-10", 10, 0, 10, "bytes 0-9/10"),
    ("bytes=-11", 10, 0, 10, "bytes 0-9/10"),
    (f"bytes=2-{HUGE}", 10, 2, 8, "bytes 2-9/10"),
    (f"bytes=-{HUGE}", 10, 0, 10, "bytes 0-9/10"),
    ("bytes=00000000000000000000000000002-3", 10, 2, 2, "bytes 2-3/10"),
    ("Bytes=1-2", 10, 1, 2, "bytes 1-2/10"),
    ("bytes=, 1-2 ,", 10, 1, 2, "bytes 1-2/10"),
]

IGNORED = [
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=,",
    "bytes=2-1",
    "bytes=a-b",
    "bytes=1",
    "bytes=--1",
    "bytes=1-2-3",
    "bytes=0x1-2",
    "bytes=+1-2",
    "bytes=1_0-20",
    "bytes=\u0661-\u0662",
    "bytes= 1 - 2",
    "bytes =1-2",
    "bytes 1-2",
    "lines=1-2",
    "bytes=0-1,3-4",
    f"bytes={','.join(['0-0'] * 1000)}",
]


@pytest.mark.parametrize(("field_value", "size", "first", "length", "content_range"), SATISFIED)
def test_range_is_selected(field_value: str, size: int, first: int, length: int, content_range: str) -> None:
    selected = select_range(field_value, size)
    assert selected == ByteRange(first, length, size)
    assert selected.content_range == content_range


@pytest.mark.parametrize("field_value", IGNORED)
def test_other_fields_are_ignored(field_value: str) -> None:
    assert select_range(field_value, 10) is None


@pytest.mark.parametrize(
    ("field_value", "size"),
    [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), (f"bytes={HUGE}-", 10), ("bytes=0-", 0)],
)
def test_range_that_is_not_there_is_unsatisfiable(field_value: str, size: int) -> None:
    assert select_range(field_value, size) is Unsatisfiable.UNSATISFIABLE


def test_suffix_of_nothing_is_everything() -> None:
    assert select_range("bytes=-5", 0) is None


@given(st.from_regex(r"bytes=[0-9]*-[0-9]*") | st.text(), st.integers(0, 20))
def test_selected_range_lies_within(field_value: str, size: int) -> None:
    selected = select_range(field_value, size)
    if isinstance(selected, ByteRange):
        assert 0 <= selected.first < selected.first + selected.length <= size
