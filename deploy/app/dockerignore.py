"""The pattern language of .dockerignore, as Docker defines it, on relative paths with "/" between their parts.

A path is matched if the last pattern that matches it, or one of its parents, has no "!". In a pattern, `*` and `?`
match characters other than "/", `[a-z]` one of some characters, `[^a-z]` one of the others, `**` any number of whole
parts; a backslash makes the next character an ordinary one. Patterns start at the root of the project.

Source: "docker build", section ".dockerignore file", and Go's path/filepath (Match, Clean). A test compares this module
with a real engine. Knows nothing of files.
"""

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class PatternError(ValueError):
    """A pattern that Docker refuses. The message is one line without a full stop."""


class Pattern(NamedTuple):
    text: str
    """Cleaned: without "!", without a slash at either end."""
    is_exception: bool
    expression: str
    """A regular expression for the whole path."""


class Patterns:
    """Patterns in their order. False if there are none."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Raises PatternError."""
        self._patterns = [parse(text) for text in texts]
        self.has_exceptions = any(pattern.is_exception for pattern in self._patterns)
        # Neighbours that are all exceptions, or all not, are one expression: their order makes no difference.
        self._groups = [
            (is_exception, re.compile("|".join(f"(?:{pattern.expression})" for pattern in group), re.DOTALL))
            for is_exception, group in itertools.groupby(self._patterns, lambda pattern: pattern.is_exception)
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: str) -> bool:
        candidates = [path, *parents(path)]
        matched = False
        for is_exception, expression in self._groups:
            # only one that would change the result needs a look
            if is_exception == matched and any(map(expression.fullmatch, candidates)):
                matched = not is_exception
        return matched

    def may_match_below(self, folder: str) -> bool:
        """Whether a pattern could match something in the folder, although it does not match the folder itself."""
        return any(_reaches_below(pattern.text.split("/"), folder.split("/")) for pattern in self._patterns)


def parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def lines(text: str) -> list[str]:
    """The patterns in a .dockerignore file: without comments, blank lines and a byte order mark."""
    return [line.strip() for line in text.removeprefix("\ufeff").split("\n") if line.strip() and line[0] != "#"]


def parse(text: str) -> Pattern:
    is_exception = text.startswith("!")
    pattern = text.removeprefix("!").strip()
    if not pattern:
        raise PatternError(f"{text!r}: must have a pattern after the !")
    # Clean keeps two slashes at the start, as POSIX does; Go does not.
    cleaned = posixpath.normpath(re.sub("^/+", "/", pattern))
    cleaned = cleaned.removeprefix("/") or "/"
    return Pattern(cleaned, is_exception, _expression(cleaned, text))


def _expression(pattern: str, text: str) -> str:
    if pattern.startswith("**") and not re.search(r"[*?\[\\]", pattern[2:]) and pattern[2:3] != "/":
        return ".*" + re.escape(pattern[2:])  # Docker compares the ends: **log matches a/x.log and xlog
    if pattern.endswith("**") and not re.search(r"[*?\[\\]", pattern[:-2]):
        return re.escape(pattern[:-2]) + ".*"
    parts = []
    at = 0
    while at < len(pattern):
        if token := re.compile(r"\*\*/?").match(pattern, at):
            parts.append("(?:.*/)?" if token.end() < len(pattern) else ".*")
            at = token.end()
        elif pattern[at] == "[":
            part, at = _character_class(pattern, at, text)
            parts.append(part)
        elif pattern[at] == "\\":
            if at + 1 == len(pattern):
                raise PatternError(f"{text!r}: ends with a backslash")
            parts.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at]) or re.escape(pattern[at]))
            at += 1
    return "".join(parts)


_CLASS = re.compile(r"\[(\^?)((?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+)\]", re.DOTALL)
_RANGE = re.compile(r"(\\.|.)(?:-(\\.|.))?", re.DOTALL)


def _character_class(pattern: str, at: int, text: str) -> tuple[str, int]:
    """The expression for the [...] at this place, and the place after it."""
    found = _CLASS.match(pattern, at)
    if found is None:
        raise PatternError(f"{text!r}: has a [ that is not the start of characters such as [a-z]")
    ranges = [(low[-1], (high or low)[-1]) for low, high in _RANGE.findall(found[2])]
    if any(low > high for low, high in ranges):
        raise PatternError(f"{text!r}: has a range whose end comes before its start")
    allowed = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges)
    return f"[{found[1]}{allowed}]", found.end()


def _reaches_below(pattern: list[str], folder: list[str]) -> bool:
    for part, name in zip(pattern, folder, strict=False):
        if "**" in part or "[" in part or "\\" in part:  # characters in brackets may include a slash
            return True
        if not re.fullmatch(_expression(part, part), name, re.DOTALL):
            return False
    return len(pattern) > len(folder)
