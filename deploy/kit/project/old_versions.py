"""Versions of packages that are older than a Python: they have no wheel for it and cannot be built, or fail on import.

A table of the packages that projects pin most often. What is not in it is found by the build, which fails then.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from kit.project import python_version
from kit.project.installation import Installation, Reader
from kit.project.names import name_of
from kit.project.python_version import Version


class Old(NamedTuple):
    """Versions of `name` before `first`, but not those before `since`, work with no Python from `python` on."""

    name: str
    python: Version
    first: Version
    since: Version = (0,)


def _wheels(name: str, *firsts: tuple[Version, Version]) -> Iterator[Old]:
    return (Old(name, python, first) for python, first in firsts)


TABLE = (
    # their first wheels for each Python; the sources of older ones need a compiler, and mostly do not build
    *_wheels("psycopg2-binary", ((3, 11), (2, 9, 5)), ((3, 12), (2, 9, 9)), ((3, 13), (2, 9, 10))),
    *_wheels("psycopg-binary", ((3, 12), (3, 1, 12)), ((3, 13), (3, 2, 2))),
    *_wheels("greenlet", ((3, 11), (1, 1, 3)), ((3, 12), (3, 0)), ((3, 13), (3, 1))),
    *_wheels("cffi", ((3, 11), (1, 15, 1)), ((3, 12), (1, 16)), ((3, 13), (1, 17))),
    *_wheels("lxml", ((3, 11), (4, 9, 1)), ((3, 12), (4, 9, 3)), ((3, 13), (5, 3))),
    *_wheels("pillow", ((3, 11), (9, 3)), ((3, 12), (10, 0)), ((3, 13), (10, 4))),
    *_wheels("pyyaml", ((3, 11), (6, 0)), ((3, 12), (6, 0, 1)), ((3, 13), (6, 0, 2))),
    *_wheels("numpy", ((3, 11), (1, 23, 2)), ((3, 12), (1, 26)), ((3, 13), (2, 1))),
    *_wheels("pandas", ((3, 11), (1, 5)), ((3, 12), (2, 1, 1)), ((3, 13), (2, 2, 3))),
    *_wheels("gevent", ((3, 11), (22, 10)), ((3, 12), (23, 7)), ((3, 13), (24, 10, 1))),
    *_wheels("multidict", ((3, 12), (6, 0, 5))),
    *_wheels("aiohttp", ((3, 12), (3, 9)), ((3, 13), (3, 10, 5))),
    *_wheels("asyncpg", ((3, 12), (0, 29)), ((3, 13), (0, 30))),
    *_wheels("regex", ((3, 12), (2023, 8, 19)), ((3, 13), (2024, 9, 11))),
    *_wheels("pydantic-core", ((3, 13), (2, 20))),
    Old("pydantic", (3, 13), (2, 8), since=(2,)),
    # pure Python, and the first versions that can be imported
    Old("bottle", (3, 11), (0, 12)),
    Old("bottle", (3, 13), (0, 13)),
    Old("django", (3, 11), (2,)),
    Old("django", (3, 12), (3,)),
    Old("django", (3, 13), (4, 1)),
    Old("markdown", (3, 12), (3,)),
    Old("six", (3, 12), (1, 16)),
    Old("sqlalchemy", (3, 11), (1, 2)),
    Old("sqlalchemy", (3, 13), (2, 0, 31), since=(2,)),
    Old("werkzeug", (3, 11), (0, 15)),
)
"""Tried with each of these Pythons; for wheels, on x86-64 with glibc."""

_CLAUSE = re.compile(r"(===?|~=|<=?)\s*v?(\d+(?:\.\d+)*)(\.\*)?")
_MARKER = re.compile(r"""python(?:_full)?_version\s*([=!<>~]=?)\s*['"](\d[\d.]*)['"]""")


def too_old(installation: Installation, python: Version) -> dict[str, str]:
    """The packages, by name with the version as it is listed, of which no version that is allowed works with `python`
    (`X.Y`). What UNPIN names is not among them."""
    free = {name_of(line) for line in installation.overrides}
    listed: dict[str, list[str]] = {}
    for line in _lines(installation):
        text, _, marker = line.partition(";")
        name = name_of(text)
        if name not in free and _applies(marker, python):
            listed.setdefault(name, []).append(text.partition(" --hash")[0].strip(" \\"))
    return {
        name: _shown(texts[0])
        for name, texts in listed.items()
        for old in [[text for text in texts if any(_is_older(text, row) for row in _rows(name, python))]]
        if old and (len(old) == len(texts) or not installation.pins)
    }


def _lines(installation: Installation) -> Iterator[str]:
    yield from (line.partition("\n")[0] for line in (*installation.requirements, *installation.constraints))
    if installation.reader is Reader.LINES:
        yield from (pin.requirement(hashes=False) for pin in installation.pins)


def _rows(name: str, python: Version) -> Iterator[Old]:
    return (row for row in TABLE if row.name == name and row.python <= python)


def _is_older(requirement: str, row: Old) -> bool:
    """Whether one of its clauses allows only versions that are too old."""
    return any(
        _limits(found[1], found[2], bool(found[3]), row) for found in _CLAUSE.finditer(requirement.partition("@")[0])
    )


def _limits(operator: str, version: str, is_prefix: bool, row: Old) -> bool:
    given = tuple(map(int, version.split(".")))
    if given < row.since:
        return False
    if operator == "<":
        return given <= row.first and given > row.since
    if operator == "~=" or is_prefix:
        kept = given if is_prefix else given[:-1]
        return bool(kept) and (*kept[:-1], kept[-1] + 1) <= row.first
    return given < row.first


def _applies(marker: str, python: Version) -> bool:
    """Whether a marker may hold; of all that it can say, only the Python counts here."""
    clauses = [python_version.allows(f"{sign}{version}", python) for sign, version in _MARKER.findall(marker)]
    return not clauses or (any(clauses) if " or " in marker else all(clauses))


def _shown(requirement: str) -> str:
    return re.sub(r"\s*\[[^]]*\]|\s+", "", requirement)
