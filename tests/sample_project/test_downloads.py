"""harbour/downloads.py: which bytes are asked for."""

import pytest
from django.test import RequestFactory

from harbour.downloads import RangeNotSatisfiableError, requested_range

SIZE, ETAG, LAST_MODIFIED = 1000, '"abc"', 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def ask(method="get", size=SIZE, **headers):
    request = getattr(RequestFactory(), method)("/", headers=headers)
    return requested_range(request, size, ETAG, LAST_MODIFIED)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-", (0, 999)),
        ("bytes=10-19", (10, 19)),
        ("bytes=990-2000", (990, 999)),
        ("bytes=-10", (990, 999)),
        ("bytes=-5000", (0, 999)),
        ("BYTES= 1-2", (1, 2)),
        # What is no single range by the grammar is ignored (RFC 9110, section 14.2).
        ("bytes=5-4", None),
        ("bytes=0-0,5-9", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("lines=0-1", None),
        ("bytes=1" + "0" * 40 + "-", None),
    ],
)
def test_a_range(text, part):
    assert ask(Range=text) == part


@pytest.mark.parametrize("text", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_a_range_outside_of_the_file(text):
    with pytest.raises(RangeNotSatisfiableError):
        ask(Range=text)


def test_an_empty_file_has_no_range():
    with pytest.raises(RangeNotSatisfiableError):
        ask(size=0, Range="bytes=-1")


def test_a_range_counts_for_get_alone():
    assert ask("head", Range="bytes=0-1") is None


@pytest.mark.parametrize(
    ("condition", "part"),
    [
        (ETAG, (0, 1)),
        ('"other"', None),
        (f"W/{ETAG}", None),
        (DATE, (0, 1)),
        ("Sun, 06 Nov 1994 08:49:38 GMT", None),
        ("nonsense", None),
    ],
)
def test_if_range_must_name_the_file_as_it_is(condition, part):
    assert ask(Range="bytes=0-1", **{"If-Range": condition}) == part
