"""Which exception is logged of a chain."""

import json

import pytest

from ropewalk.logs.error_format import Message, first_of_repeats, format_json, format_plain


def failing():
    raise ValueError("wrong")


def raised_through(layers, fail=failing):
    """What `fail` raises, where each layer calls it again to handle what the one below has raised."""

    def call(number):
        if not number:
            fail()
        try:
            call(number - 1)
        except ValueError:
            fail()

    with pytest.raises(ValueError, match="wrong") as caught:
        call(layers)
    return caught.value


@pytest.mark.parametrize("layers", [0, 1, 8])
def test_exception_that_handling_it_raises_again_is_logged_once(layers):
    error = raised_through(layers)
    first = first_of_repeats(error)
    assert first.__context__ is None
    line = format_plain(Message("error", "failed", first))
    assert line.count("Traceback (most recent call last)") == 1
    assert "During handling" not in line
    assert json.loads(format_json(Message("error", "failed", first)))["traceback"].count("ValueError: wrong") == 1


def test_another_exception_is_no_repetition():
    numbers = iter(range(3))

    def fail():
        raise ValueError(f"wrong {next(numbers)}")

    error = raised_through(2, fail)
    assert first_of_repeats(error) is error


def test_same_exception_at_another_place_or_with_a_cause_is_no_repetition():
    def fail_elsewhere():
        try:
            failing()
        except ValueError:
            raise ValueError("wrong")  # noqa: B904

    with pytest.raises(ValueError, match="wrong") as caught:
        fail_elsewhere()
    assert first_of_repeats(caught.value) is caught.value
    error, cause = raised_through(1), raised_through(0)
    error.__cause__ = cause
    assert first_of_repeats(error) is error


def test_circle_of_exceptions_ends():
    one, two = ValueError("a"), ValueError("a")
    one.__context__, two.__context__ = two, one
    assert first_of_repeats(one) in (one, two)


def test_exception_without_a_text_is_kept():
    class OddError(ValueError):
        def __str__(self):
            raise TypeError

    one, two = OddError(), OddError()
    one.__context__ = two
    assert first_of_repeats(one) is one
