"""Lines as Werkzeug's server prints them, by the logger `werkzeug`: programs set its level, or add handlers to it.

Colours are only for a terminal, and not with NO_COLOR; Werkzeug itself colours what goes to a file as well.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from functools import cache
from typing import TextIO
from urllib.parse import quote

from ropewalk.logs.error_format import Message
from ropewalk.logs.program_logs import ProgramLog
from ropewalk.runtime.caller_thread import InterruptedCallError

_CODES = {"bold": 1, "red": 31, "green": 32, "yellow": 33, "magenta": 35, "cyan": 36}

_STYLES: dict[str, tuple[str, ...]] = {
    "1": ("bold",),
    "2": (),
    "304": ("cyan",),
    "3": ("green",),
    "404": ("yellow",),
    "4": ("bold", "red"),
    "": ("bold", "magenta"),
}
"""Of a request's line, by the first start of its status that fits."""

_ENCODED = re.compile("(?:%[0-9A-Fa-f]{2})+")


def log(level: str, message: str, *arguments: object) -> None:
    """Log a `%`-format at a level, by its name in lower case."""
    werkzeug_logger().log(logging.getLevelNamesMapping()[level.upper()], message.rstrip(), *arguments)


@cache
def werkzeug_logger() -> logging.Logger:
    """The logger; what the program has not configured of it is as Werkzeug configures it."""
    logger = logging.getLogger("werkzeug")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not _is_heard(logger):
        logger.addHandler(_StandardError())
    return logger


def _is_heard(logger: logging.Logger) -> bool:
    level = logger.getEffectiveLevel()
    each: logging.Logger | None = logger
    while each is not None:
        if any(handler.level <= level for handler in each.handlers):
            return True
        each = each.parent if each.propagate else None
    return False


class _StandardError(logging.StreamHandler[TextIO]):
    """To what is standard error when a line is written: a program may replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # the original's would keep the stream of now

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # not set, but looked up
        return sys.stderr


def styled(text: str, *names: str) -> str:
    """`text` in colours, if a terminal shows it."""
    if not names or os.environ.get("NO_COLOR") or not (sys.stderr and sys.stderr.isatty()):
        return text
    return "".join(f"\x1b[{_CODES[name]}m" for name in names) + f"{text}\x1b[0m"


def styled_request(request_line: str, status: str) -> str:
    """A request line in the colour of its status."""
    return styled(request_line, *next(names for start, names in _STYLES.items() if status.startswith(start)))


def readable_target(target: str) -> str:
    """A request target as a person reads it: letters of all languages decoded, what could be mistaken left encoded."""
    path, mark, query = target.partition("?")
    return _decoded(path, "%/?#") + mark + _decoded(query, "%&=+#")


def _decoded(text: str, kept: str) -> str:
    def decode(match: re.Match[str]) -> str:
        characters = bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "surrogateescape")
        return "".join(quote(each, "", errors="surrogateescape") if is_kept(each) else each for each in characters)

    def is_kept(character: str) -> bool:
        return character in kept or character.isspace() or not character.isprintable()

    return _ENCODED.sub(decode, text)


class ServerLog(ProgramLog):
    """The server's own messages, by the logger.

    A request that Ctrl-C ends is no error: the program ends.
    """

    def __init__(self) -> None:
        super().__init__(werkzeug_logger(), None, "plain")

    def _put(self, message: Message, counted_as: str = "") -> None:
        if not isinstance(message.error, InterruptedCallError):
            super()._put(message, counted_as)
