"""What is known of an exception, as plain data without secrets: pages and texts are made from it."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from ropewalk.debugging.secrets import Scrubber, shown_value
from ropewalk.logs.error_format import first_of_repeats
from ropewalk.reloading.imported import is_edited

LINES_BEFORE, LINES_AFTER = 5, 4
MAX_FRAMES = 60  # of one exception; a recursion has a thousand
MAX_CHAIN = 8
MAX_LOCALS = 60
MAX_LINE = 400  # characters


@dataclass(frozen=True, slots=True)
class Frame:
    """A line that was running."""

    file: str
    """Relative to the current directory, if it is below that."""
    line: int
    function: str
    source: list[tuple[int, str]]
    """Lines around it, with their numbers."""
    variables: list[tuple[str, str]]
    is_own: bool
    """Whether the file is the developer's, and not of a library."""


@dataclass(slots=True)
class Part:
    """One exception of a chain."""

    kind: str
    message: str
    link: str
    """How it is linked to the one before, which "this one" means; "" for the first."""
    frames: list[Frame]
    left_out: int
    """Frames in the middle that are not there."""


@dataclass(slots=True)
class Report:
    """A chain of exceptions, the last one last."""

    parts: list[Part]
    traceback: str
    """As Python prints it."""
    scrubber: Scrubber
    intro: str = ""
    is_of_loading: bool = False
    """Whether the application could not be loaded."""

    @property
    def kind(self) -> str:
        return self.parts[-1].kind

    @property
    def message(self) -> str:
        return self.parts[-1].message


def report_of(error: BaseException, *, with_locals: bool) -> Report:
    """The report of `error`."""
    error = first_of_repeats(error)
    chain = list(_chain(error))[:MAX_CHAIN]
    frames = [list(traceback.walk_tb(each.__traceback__)) for each, _ in chain]
    scrubber = Scrubber(item for some in frames for frame, _ in some for item in frame.f_locals.items())
    parts = [
        _part(each, link, some, scrubber, with_locals=with_locals)
        for (each, link), some in zip(chain, frames, strict=True)
    ]
    parts.reverse()
    text = "".join(traceback.format_exception(error))
    return Report(parts, scrubber.clean(text), scrubber)


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and those before it, each with the words that link the next one to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if current.__cause__ is not None:
            yield current, "was raised from this one"
            current = current.__cause__
        elif current.__context__ is not None and not current.__suppress_context__:
            yield current, "was raised while this one was handled"
            current = current.__context__
        else:
            yield current, ""
            return


def _part(
    error: BaseException, link: str, frames: list[tuple[FrameType, int]], scrubber: Scrubber, *, with_locals: bool
) -> Part:
    half = MAX_FRAMES // 2
    left_out = max(0, len(frames) - MAX_FRAMES)
    kept = frames if not left_out else frames[:half] + frames[-half:]
    shown = [_frame(frame, line, scrubber, with_locals=with_locals) for frame, line in kept]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        source = _source(error.filename, error.lineno, None, scrubber)
        shown.append(Frame(_relative(error.filename), error.lineno, "", source, [], is_edited(error.filename)))
    return Part(_kind(error), scrubber.clean(_message(error)), link, shown, left_out)


def _kind(error: BaseException) -> str:
    of = type(error)
    return of.__qualname__ if of.__module__ in ("builtins", "__main__") else f"{of.__module__}.{of.__qualname__}"


def _message(error: BaseException) -> str:
    """The text of the exception with its notes; whatever its `__str__` does."""
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) else str(error)
    except Exception as raised:  # noqa: BLE001 - of the user's own `__str__`
        text = f"<its text cannot be shown: {type(raised).__name__}>"
    return "\n".join([text, *map(str, getattr(error, "__notes__", []))])


def _frame(frame: FrameType, line: int, scrubber: Scrubber, *, with_locals: bool) -> Frame:
    file = frame.f_code.co_filename
    variables = []
    if with_locals:
        items = [(name, value) for name, value in frame.f_locals.items() if not name.startswith("__")]
        variables = [(name, scrubber.clean(shown_value(name, value))) for name, value in items[:MAX_LOCALS]]
    source = _source(file, line, frame.f_globals, scrubber)
    return Frame(_relative(file), line, frame.f_code.co_qualname, source, variables, is_edited(file))


def _source(file: str, line: int, module: dict[str, object] | None, scrubber: Scrubber) -> list[tuple[int, str]]:
    linecache.checkcache(file)
    lines = linecache.getlines(file, module)
    first = max(1, line - LINES_BEFORE)
    return [
        (number, scrubber.clean(text.rstrip("\n"))[:MAX_LINE])
        for number, text in enumerate(lines[first - 1 : line + LINES_AFTER], first)
    ]


def _relative(path: str) -> str:
    try:
        here = os.getcwd() + os.sep
    except OSError:  # the directory was removed
        return path
    return path.removeprefix(here)
