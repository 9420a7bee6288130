"""RFC 9110 sections 8.8 and 13: dates, entity tags, and the order in which conditions are looked at."""

from __future__ import annotations

import itertools
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http.preconditions import (
    Validators,
    Verdict,
    evaluate_preconditions,
    if_range_holds,
    parse_http_date,
)

NOW = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
CURRENT = Validators('"abc"', NOW)
UNDATED = Validators('"abc"', None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DATE, NOW),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOW),
        ("Sun Nov  6 08:49:37 1994", NOW),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
        ("Wednesday, 31-Dec-69 23:59:59 GMT", 3155759999),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),
        ("Mon, 29 Feb 2016 00:00:00 GMT", 1456704000),
    ],
)
def test_date_is_read_in_each_form(text: str, expected: int) -> None:
    assert parse_http_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "784111777",
        f" {DATE}",
        f"{DATE} ",
        f"{DATE}\n",
        DATE.lower(),
        DATE.replace("GMT", "UTC"),
        DATE.replace("GMT", "+0100"),
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:60 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.integers(0, 253402300799))
def test_date_that_is_sent_is_read_back(seconds: int) -> None:
    assert parse_http_date(formatdate(seconds, usegmt=True)) == seconds


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("field_value", "strongly", "weakly"),
    [
        ('"abc"', True, True),
        ('W/"abc"', False, True),
        ("*", True, True),
        ('"x", "abc"', True, True),
        ('"x","y" , W/"abc",', False, True),
        ('"x", "y"', False, False),
        ('"ABC"', False, False),
        ("abc", False, False),
        ('"abc', False, False),
        ('w/"abc"', False, False),
        ('"abc" x', False, False),
        ("", False, False),
        ('"x,\\"abc"', False, False),
        ('*, "abc"', False, False),
    ],
)
def test_entity_tags_are_compared(field_value: str, strongly: bool, weakly: bool) -> None:
    expected = Verdict.PROCEED if strongly else Verdict.FAILED
    assert evaluate_preconditions(CURRENT, if_match=field_value) is expected
    expected = Verdict.NOT_MODIFIED if weakly else Verdict.PROCEED
    assert evaluate_preconditions(CURRENT, if_none_match=field_value) is expected


@pytest.mark.parametrize(
    ("field_value", "current", "unmodified", "modified"),
    [
        (DATE, CURRENT, Verdict.PROCEED, Verdict.NOT_MODIFIED),
        (BEFORE, CURRENT, Verdict.FAILED, Verdict.PROCEED),
        ("soon", CURRENT, Verdict.PROCEED, Verdict.PROCEED),
        (BEFORE, UNDATED, Verdict.PROCEED, Verdict.PROCEED),
        (DATE, UNDATED, Verdict.PROCEED, Verdict.PROCEED),
    ],
)
def test_dates_are_compared(field_value: str, current: Validators, unmodified: Verdict, modified: Verdict) -> None:
    assert evaluate_preconditions(current, if_unmodified_since=field_value) is unmodified
    assert evaluate_preconditions(current, if_modified_since=field_value) is modified


def test_every_combination_follows_the_order_of_the_rfc() -> None:
    tags = (None, '"abc"', '"other"')
    dates = (None, DATE, BEFORE)
    for if_match, unmodified, if_none_match, modified in itertools.product(tags, dates, tags, dates):
        # Section 13.2.2, steps 1 to 4, written out.
        fails = unmodified == BEFORE if if_match is None else if_match == '"other"'
        is_known = modified == DATE if if_none_match is None else if_none_match == '"abc"'
        expected = Verdict.FAILED if fails else Verdict.NOT_MODIFIED if is_known else Verdict.PROCEED
        verdict = evaluate_preconditions(
            CURRENT,
            if_match=if_match,
            if_unmodified_since=unmodified,
            if_none_match=if_none_match,
            if_modified_since=modified,
        )
        assert verdict is expected, (if_match, unmodified, if_none_match, modified)


@pytest.mark.parametrize(
    ("if_range", "current", "holds"),
    [
        ('"abc"', CURRENT, True),
        ('W/"abc"', CURRENT, False),
        ('"abc", "x"', CURRENT, False),
        ("*", CURRENT, False),
        (DATE, CURRENT, True),
        (DATE, UNDATED, False),
        (BEFORE, CURRENT, False),
        ("Sun, 06 Nov 1994 08:49:38 GMT", CURRENT, False),
        ("", CURRENT, False),
    ],
)
def test_if_range_wants_exactly_the_current_strong_validator(if_range: str, current: Validators, holds: bool) -> None:
    assert if_range_holds(if_range, current) is holds


def test_long_lists_are_read_in_linear_time() -> None:
    """A pattern that backtracks would not come back from these."""
    for field_value in ('"', " " * 8000, ", " * 4000 + "x", '"a" ,' * 1600 + "x", "W/" * 4000):
        assert evaluate_preconditions(CURRENT, if_none_match=field_value) is Verdict.PROCEED
