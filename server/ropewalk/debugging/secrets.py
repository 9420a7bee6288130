"""What a page must not show: values whose names say that they are secret, wherever these values appear.

A name alone decides, so a secret under a harmless name is shown. Pure functions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from reprlib import Repr
from typing import Any

MASK = "********"

SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase|code)?s?(?![a-z])|(?<![a-z])pwd|secret|token|key(?![a-z])|private|credential|auth(?!ors?(?![a-z]))"
    r"|cookie|session_?id|signature|csrf|xsrf|dsn(?![a-z])|salt(?![a-z])",
    re.IGNORECASE,
)
HARMLESS = frozenset({"PWD", "OLDPWD"})  # directories

VALUABLE_NAME = re.compile(
    r"pass(?:word|wd|phrase|code)|secret|token|(?<![a-z])(?:api|access|private|signing|encryption)_?key|credential"
    r"|authorization|dsn(?![a-z])",
    re.IGNORECASE,
)
"""Those whose values are looked for in every text: a variable `key` may be any word."""

_ASSIGNED = re.compile(
    r"""(?P<name>[A-Za-z_][\w.\-]*|(?P<quote>['"])[^'"\n]+(?P=quote))"""
    r"""(?P<between>\]?\s*(?::\s*[\w\[\], .|]+)?\s*[=:]\s*)"""
    r"""(?P<value>[rbuRBU]?'[^'\n]*'|[rbuRBU]?"[^"\n]*"|[^\s,;&)}\]'"]+)"""
)

_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*(?:[(\[].*)?")
"""A value that is code, as in `token = make_token()`, reveals no secret. In `token=abc`, part of a URL, it might."""

_IN_URL = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@'\"]*:)[^\s/@'\"]+(?=@)")

SHORTEST = 6  # characters of a secret that is looked for elsewhere: shorter ones are everywhere
MAX_VALUES = 500
MAX_CHILDREN = 500

MAX_VALUE = 1000  # characters of a variable that are shown


class _Short(Repr):
    """`repr` within limits, whose values under secret names are masked."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 30
        self.maxstring = self.maxother = self.maxlong = MAX_VALUE
        self.maxlevel = 4

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}"
        items = [
            f"{self.repr1(key, level - 1)}: "
            + (repr(MASK) if isinstance(key, str) and is_secret(key) else self.repr1(value, level - 1))
            for key, value in list(x.items())[: self.maxdict]
        ]
        return "{" + ", ".join(items + ["..."] * (len(x) > self.maxdict)) + "}"


_short = _Short()


def is_secret(name: str) -> bool:
    """Whether a variable, key or field of that name is masked."""
    return name not in HARMLESS and SECRET_NAME.search(name) is not None


def shown_value(name: str, value: object) -> str:
    """The value as text: masked by its name, never longer than a few lines, whatever its `repr` does."""
    if is_secret(name):
        return MASK
    try:
        text = _short.repr(value)
    except Exception as error:  # noqa: BLE001 - of the user's own `__repr__`
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    return text if len(text) <= MAX_VALUE * 2 else f"{text[: MAX_VALUE * 2]}..."


class Scrubber:
    """Removes known secrets, and what looks like an assignment of one, from any text."""

    def __init__(self, named: Iterable[tuple[str, Any]] = ()) -> None:
        """`named` are variables of any names; those with secret ones give the values that are removed everywhere."""
        values = {
            value
            for name, value in (*_with_children(named), *os.environ.items())
            if _is(value, str) and len(value) >= SHORTEST and VALUABLE_NAME.search(name)
        }
        longest = sorted(values, key=len, reverse=True)[:MAX_VALUES]
        self._values = re.compile("|".join(map(re.escape, longest))) if longest else None

    def clean(self, text: str) -> str:
        """The text without secrets."""
        if self._values is not None:
            text = self._values.sub(MASK, text)
        text = _IN_URL.sub(rf"\g<start>{MASK}", text)
        return _ASSIGNED.sub(_masked, text)


def _with_children(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The variables, what their objects and mappings have by name, and what mappings in those have: a configuration."""
    for name, value in named:
        yield name, value
        for child_name, child in _children(value):
            yield child_name, child
            if _is(child, dict):
                yield from _children(child)


def _is(value: Any, kind: type) -> bool:
    """`isinstance`, which asks a proxy for its class, and so raises what that raises."""
    return issubclass(type(value), kind)


def _children(value: Any) -> list[tuple[str, Any]]:
    try:
        found = value if _is(value, dict) else vars(value)
        return [(name, child) for name, child in list(found.items())[:MAX_CHILDREN] if isinstance(name, str)]
    except Exception:  # noqa: BLE001 - no attributes, or a proxy that raises whatever it likes
        return []


def _masked(match: re.Match[str]) -> str:
    name = match["name"].strip("'\"")
    value = match["value"]
    is_text = value[-1] in "'\"" or match["between"] == "=" or not _EXPRESSION.fullmatch(value)
    if not is_secret(name) or MASK in value or value in ("None", "True", "False") or not is_text:
        return match[0]
    quote = value[-1] if value[-1] in "'\"" else ""
    return f"{match['name']}{match['between']}{quote}{MASK}{quote}"


def shown_environ(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The environ, sorted; of cookies only the names."""
    rows = []
    for name in sorted(environ):
        if name == "HTTP_COOKIE":
            names = [part.partition("=")[0].strip() for part in str(environ[name]).split(";")]
            rows.append((name, "; ".join(f"{each}={MASK}" for each in names)))
        else:
            value = environ[name]
            rows.append((name, value if _is(value, str) and not is_secret(name) else shown_value(name, value)))
    return rows
