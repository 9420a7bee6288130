"""Colors that can be read on any background, and numbers of a fixed width."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

from ropewalk.logs.terminal import COLORS, has_color, make_paint, shown_bytes, shown_seconds

BACKGROUNDS = {
    "black": "000000",
    "GNOME Terminal": "171421",
    "Visual Studio Code": "1e1e1e",
    "Solarized dark": "002b36",
    "Solarized light": "fdf6e3",
    "GitHub light": "f6f8fa",
    "white": "ffffff",
}
LEVELS = (0, 95, 135, 175, 215, 255)
"""Of each primary color in the cube of the palette (xterm's 256colres.pl)."""

READABLE = 3.0


def color_of(number: int) -> tuple[int, int, int]:
    """The RGB value of a number of the palette."""
    if number >= 232:
        return (8 + (number - 232) * 10,) * 3
    cube = number - 16
    return LEVELS[cube // 36], LEVELS[cube // 6 % 6], LEVELS[cube % 6]


def luminance(color: tuple[int, ...]) -> float:
    """WCAG 2.2's relative luminance."""
    parts = (value / 255 for value in color)
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((0x76, 0x76, 0x76), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize("background", BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_each_color_can_be_read_on_each_background(name: str, background: str) -> None:
    assert COLORS[name] >= 16, "the first 16 are what the theme makes of them"
    assert contrast(color_of(COLORS[name]), tuple(bytes.fromhex(background))) >= READABLE


@pytest.fixture
def terminal() -> Iterator[int]:
    ours, its = pty.openpty()
    yield its
    os.close(ours)
    os.close(its)


@pytest.mark.parametrize(
    ("variables", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "3"}, True, True),
        ({"TERM": ""}, False, False),
    ],
)
def test_color_is_a_matter_of_the_terminal_and_of_variables(
    terminal: int, variables: dict[str, str], on_terminal: bool, in_pipe: bool
) -> None:
    environ = {"TERM": "xterm", **variables}
    reader, writer = os.pipe()
    try:
        assert (has_color(terminal, environ), has_color(writer, environ)) == (on_terminal, in_pipe)
        assert has_color(-1, environ) is in_pipe  # a file, or closed
    finally:
        os.close(reader)
        os.close(writer)


def test_without_a_color_text_is_left_as_it_is() -> None:
    assert make_paint(-1, {})("red", "text") == "text"
    assert make_paint(-1, {"FORCE_COLOR": "1"})("red", "text") == f"\x1b[38;5;{COLORS['red']}mtext\x1b[0m"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 ms"),
        (0.00034, "0.3 ms"),
        (0.0999, "99.9 ms"),
        (0.09996, "100 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "60 s"),
        (86400.0, "86400 s"),
    ],
)
def test_duration_fits_its_column(seconds: float, text: str) -> None:
    assert shown_seconds(seconds) == text
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9940, "9.9 kB"),
        (9960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2 * 10**9, "2.0 GB"),
        (5 * 10**12, "5 TB"),
    ],
)
def test_size_fits_its_column(count: int, text: str) -> None:
    assert shown_bytes(count) == text
    assert len(text) <= 7
