r"""The wire corpus: raw requests and their required outcomes, read from `tests/wire/cases/*.wire`.

A case is a block of lines, easy to read and to compare:

    == a plus sign in front of the length is refused
       RFC 9110 §8.6; CVE-2022-24761
    | POST / HTTP/1.1
    | Host: a
    | Content-Length: +5
    |
    : hello
    > 400

`|` is a line of octets with CRLF at its end, `:` octets without. Both know the escapes `\r \n \t \0 \\ \{ \xHH`, and
`{text*count}` for `text` many times. `>` lines are the outcomes, one a request, in order:

    > 400                             refused with that status, and the connection is closed
    > POST /path?query body="hello" HTTP_X_A="b" !HTTP_X_B
                                      the application is reached and sees this; the connection stays open
    > GET / close                     the same, and the connection is closed after the response
    > waits                           not a whole request: no response, nothing reaches the application

Method, PATH_INFO (one character an octet), QUERY_STRING and content are compared whole; of the environ the keys that
are named, and those with `!` must not be there. `#` starts a comment line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.paths import REPOSITORY

CASES = REPOSITORY / "tests/wire/cases"

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"
"""The next request: read as a request when the case leaves the connection open, and never otherwise."""

_ESCAPED = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "{": "{", '"': '"'}
_WORD = re.compile(r'([A-Za-z_0-9.]+)="((?:[^"\\]|\\.)*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class Reached:
    """A request that the application sees."""

    method: str
    path: str
    query: str = ""
    body: str = ""  # one character an octet
    environ: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A request to which the server itself responds."""

    status_code: int


@dataclass(frozen=True, slots=True)
class Case:
    """One sequence of octets and its outcome."""

    topic: str
    name: str
    clause: str
    raw: bytes
    outcomes: tuple[Reached | Refused, ...]
    closes: bool
    is_incomplete: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.name}"

    @property
    def statuses(self) -> list[int]:
        """The status code of each final response."""
        return [outcome.status_code if isinstance(outcome, Refused) else 200 for outcome in self.outcomes]

    @property
    def reached(self) -> list[Reached]:
        """What the application sees."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Reached)]

    def with_next(self) -> Case:
        """The same case with a complete next request."""
        following = () if self.closes else (Reached("GET", "/next", environ={"HTTP_HOST": "next"}),)
        return Case(
            self.topic,
            self.name,
            self.clause,
            self.raw + NEXT,
            self.outcomes + following,
            self.closes,
            self.is_incomplete,
        )


def load_corpus() -> list[Case]:
    """Every case, in the order of the files. Raises `ValueError` that names file and line."""
    return [case for path in sorted(CASES.glob("*.wire")) for case in read_cases(path)]


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of one file."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("=="):
            if block:
                yield _read_case(path, block)
            block = [(number, line)]
        elif line and not line.startswith("#"):
            block.append((number, line))
    if block:
        yield _read_case(path, block)


def _read_case(path: Path, block: list[tuple[int, str]]) -> Case:
    name = block[0][1][2:].strip()
    clauses: list[str] = []
    raw = ""
    outcomes: list[Reached | Refused] = []
    closes = is_incomplete = False
    for number, line in block[1:]:
        try:
            if line.startswith("   "):
                clauses.append(line.strip())
            elif line[0] in "|:":
                if not line.isascii():
                    raise ValueError("octets over 127 are written \\xHH")
                raw += unescape(line[2:]) + ("\r\n" if line[0] == "|" else "")
            elif line.startswith("> "):
                if closes or is_incomplete:
                    raise ValueError("nothing is read after a connection's end")
                closes, is_incomplete = _read_outcome(line[2:], outcomes)
            else:
                raise ValueError("a line starts with ==, three spaces, |, :, > or #")
        except ValueError as error:
            raise ValueError(f"{path.name}:{number}: {error}") from error
    if not (name and clauses and raw and (outcomes or is_incomplete)):
        raise ValueError(f"{path.name}:{block[0][0]}: a case has a name, a clause, octets and an outcome")
    return Case(path.stem, name, " ".join(clauses), raw.encode("latin-1"), tuple(outcomes), closes, is_incomplete)


def _read_outcome(text: str, outcomes: list[Reached | Refused]) -> tuple[bool, bool]:
    """Append one outcome; return whether the connection ends there, and whether more octets are awaited."""
    if text == "waits":
        return False, True
    if text.isdigit():
        outcomes.append(Refused(int(text)))
        return True, False
    words = list(_WORD.finditer(text))
    method, target = words[0][0], words[1][0]
    path, _, query = target.partition("?")
    environ: dict[str, str] = {}
    absent: list[str] = []
    closes = False
    for word in words[2:]:
        if word[1]:
            environ[word[1]] = unescape(word[2])
        elif word[3] == "close":
            closes = True
        elif word[3].startswith("!"):
            absent.append(word[3][1:])
        else:
            raise ValueError(f"not understood: {word[3]}")
    body = environ.pop("body", "")
    outcomes.append(Reached(method, unescape(path), unescape(query), body, environ, tuple(absent)))
    return closes, False


def unescape(text: str) -> str:
    """Read the escapes and repetitions of a line."""
    result, end = _unescape(text, 0)
    if end != len(text):
        raise ValueError("a bare } is written \\x7d")
    return result


def _unescape(text: str, position: int) -> tuple[str, int]:
    """Read up to the end, or to the `}` that closes what was opened in front of `position`."""
    parts: list[str] = []
    while position < len(text) and text[position] != "}":
        character = text[position]
        if character == "{":
            repeated, position = _repeated(text, position + 1)
            parts.append(repeated)
        elif character != "\\":
            parts.append(character)
            position += 1
        elif text[position + 1] == "x":
            parts.append(chr(int(text[position + 2 : position + 4], 16)))
            position += 4
        else:
            parts.append(_ESCAPED[text[position + 1]])
            position += 2
    return "".join(parts), position


def _repeated(text: str, position: int) -> tuple[str, int]:
    repeated, end = _unescape(text, position)
    repeated, asterisk, count = repeated.rpartition("*")
    if text[end : end + 1] != "}" or not asterisk or not count.isdigit():
        raise ValueError("a repetition is {text*count}; a bare { is written \\{")
    return repeated * int(count), end + 1
