"""Files with one NAME=value per line, such as .env, read as `docker compose` reads them.

Quotes, comments and `$` have the meaning that compose gives them (https://docs.docker.com/compose/environment-variables),
so that `make run` and `make up` see the same values. tests/kit/command/test_dotenv.py compares both.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit.errors import KitError

NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z0-9_.\[\]-]+)[ \t]*")
QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
REST_OF_LINE = re.compile(r"[^\n]*")
COMMENT = re.compile(r" #.*")
ESCAPE = re.compile(r"\\([abcfnrtv\"\\$])")
ESCAPED = {"a": "\a", "b": "\b", "c": "\\c", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
ESCAPED |= {'"': '"', "\\": "\\", "$": "$$"}
VARIABLE = re.compile(r"\$(?:\$|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)|(?P<brace>\{))")
BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?")
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./:@%+,=~*\[\]-]*")


def read(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the file; {} if there is none. A name without a value has that of `environment`, if it is there.

    Raises KitError, with the file and the line, for what compose refuses.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KitError(f"{path.name}: cannot be read: {error.strerror}") from None
    values: dict[str, str] = {}
    try:
        for name, value in parse(text, environment):
            values[name] = value
    except ValueError as error:
        raise KitError(f"{path.name}, {error}") from None
    return values


def parse(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of a name and its value, in order. `$NAME` is looked up in `environment`, then in earlier lines.

    Raises ValueError with the number of the line.
    """
    text = text.replace("\r\n", "\n")
    seen: dict[str, str] = {}
    at = 0
    while at < len(text):
        line = f"line {text.count(chr(10), 0, at) + 1}"
        end = (text.find("\n", at) + 1 or len(text) + 1) - 1
        if not (stripped := text[at:end].strip()) or stripped.startswith("#"):
            at = end + 1
            continue
        match = NAME.match(text, at)
        if not match or (match.end() < end and text[match.end()] not in "=:"):
            raise ValueError(f"{line}: {stripped.split('=')[0][:40]!r} is not NAME=value")
        name = match[1]
        if match.end() >= end:
            if name in environment:
                yield name, environment[name]
            at = end + 1
            continue
        value, at = _value(text, match.end() + 1, line, {**seen, **environment})
        if "\0" in value:
            raise ValueError(f"{line}: the value of {name} holds a NUL character")
        seen[name] = value
        yield name, value


def quote(value: str) -> str:
    """The value as the right side of a line, so that compose and `parse` read it back."""
    if PLAIN_VALUE.fullmatch(value):
        return value
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _value(text: str, at: int, line: str, known: Mapping[str, str]) -> tuple[str, int]:
    """The value that starts at `at`, and where the text goes on."""
    while at < len(text) and text[at] in " \t":
        at += 1
    quote_mark = text[at : at + 1]
    if quote_mark not in ("'", '"'):
        rest = REST_OF_LINE.match(text, at)
        assert rest  # it matches an empty line too
        return expand(COMMENT.sub("", rest[0]).strip(" \t"), known, line), rest.end() + 1
    quoted = QUOTED[quote_mark].match(text, at)
    if not quoted:
        raise ValueError(f"{line}: the quote {quote_mark} is not closed")
    following = REST_OF_LINE.match(text, quoted.end())
    assert following
    if (left := following[0].strip()) and not left.startswith("#"):
        raise ValueError(f"{line}: {left[:40]!r} follows the closing quote")
    if quote_mark == "'":
        return quoted[1].replace("\\'", "'"), following.end() + 1
    return expand(ESCAPE.sub(lambda found: ESCAPED[found[1]], quoted[1]), known, line), following.end() + 1


def expand(value: str, known: Mapping[str, str], line: str = "line 1") -> str:
    """Replaces $NAME, ${NAME}, ${NAME:-default}, ${NAME:+other}, ${NAME:?message}; `$$` is a `$`. Raises ValueError."""
    parts = []
    at = 0
    while found := VARIABLE.search(value, at):
        parts.append(value[at : found.start()])
        at = found.end()
        if found["plain"]:
            parts.append(known.get(found["plain"], ""))
        elif found["brace"]:
            inner = BRACED.match(value, at)
            end = _closing(value, at)
            if not inner or end < 0 or (not inner[2] and inner.end() != end):
                raise ValueError(f"{line}: {value[found.start() :][:40]!r} is not ${{NAME}}")
            parts.append(_braced(inner, value[inner.end() : end], known, line))
            at = end + 1
        else:
            parts.append("$")
    return "".join((*parts, value[at:]))


def _closing(value: str, at: int) -> int:
    """Where the brace that was opened before `at` is closed; -1 if it is not."""
    depth = 1
    for index in range(at, len(value)):
        depth += value.startswith("${", index)
        depth -= value[index] == "}"
        if not depth:
            return index
    return -1


def _braced(inner: re.Match[str], word: str, known: Mapping[str, str], line: str) -> str:
    name, operator = inner[1], inner[2] or ""
    is_there = bool(known.get(name)) if operator.startswith(":") else name in known
    match operator[-1:]:
        case "-":
            return known[name] if is_there else expand(word, known, line)
        case "+":
            return expand(word, known, line) if is_there else ""
        case "?" if not is_there:
            raise ValueError(f"{line}: {name} has no value: {expand(word, known, line)}")
    return known.get(name, "")
