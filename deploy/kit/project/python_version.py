"""Which Python a project needs. `requires-python` is a condition; the other files are wishes, which are reported.

The specifiers are those of PEP 440, for release versions: an interpreter has no other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.project import poetry
from kit.project.reading import read_text, read_toml

Version = tuple[int, ...]

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_ANY = re.compile(r"3(\.[x*])?|\*|system")
_CLAUSE = re.compile(r"\s*(~=|===|==|!=|<=|>=|<|>)\s*v?(\d+(?:\.\d+)*)(\.\*)?[a-z0-9.+-]*\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Condition:
    """A specifier that the interpreter must satisfy: any one of the alternatives."""

    alternatives: tuple[str, ...]
    origin: str
    text: str
    """As it is in the file."""

    def allows(self, version: "Version") -> bool:
        """Raises KitError, with the file, for a specifier that is none."""
        try:
            return any(allows(one, version) for one in self.alternatives)
        except KitError as error:
            raise KitError(f"{self.origin}: the Python that it requires: {error}") from None


@dataclass(frozen=True, slots=True)
class PythonVersion:
    conditions: tuple[Condition, ...] = ()
    wishes: tuple[tuple[str, str], ...] = ()
    """Version (`3.12` or `3.12.4`) and the file that names it; the first counts most."""
    unused: tuple[tuple[str, str], ...] = ()
    """Files that name no such version, and what they have instead."""

    def check(self, version: Version, offered: str) -> list[str]:
        """What to say about wishes that are not met. Raises KitError if a condition is not.

        `offered` is where the interpreter comes from: "the image's", or a path.
        """
        shown = ".".join(map(str, version))
        for condition in self.conditions:
            if not condition.allows(version):
                raise KitError(
                    f"{condition.origin} wants Python {condition.text}, but {offered} is {shown}. Use another one"
                    " (make run: PYTHON=python3.X; images: BASE_IMAGE=..., docs/deployment.md), or relax that line"
                )
        return [
            f"{origin} names Python {wish}; {offered} is {shown}"
            for wish, origin in self.wishes
            if version[:2] != _numbers(wish)[:2]
        ]

    def is_allowed(self, version: Version) -> bool:
        """Whether every condition allows the version. Raises KitError for a specifier that is none."""
        return all(condition.allows(version) for condition in self.conditions)


def allows(specifier: str, version: Version) -> bool:
    """Whether a PEP 440 specifier (`>=3.10,<4`) allows the version of an interpreter. Raises KitError."""
    return all(_clause_allows(clause, version) for clause in specifier.split(",") if clause.strip())


def _clause_allows(clause: str, version: Version) -> bool:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        raise KitError(f"{clause.strip()!r} is not a version specifier, such as >=3.11")
    operator, wanted, is_prefix = found[1], _numbers(found[2]), bool(found[3])
    if is_prefix or operator == "~=":
        length = len(wanted) if is_prefix else len(wanted) - 1
        is_same = _padded(version, length)[:length] == wanted[:length]
        if operator == "~=":
            return is_same and _compare(version, wanted) >= 0
        return is_same == (operator != "!=")
    order = _compare(version, wanted)
    return {
        "==": order == 0,
        "===": order == 0,
        "!=": order != 0,
        "<=": order <= 0,
        ">=": order >= 0,
        "<": order < 0,
        ">": order > 0,
    }[operator]


def _compare(version: Version, wanted: Version) -> int:
    length = max(len(version), len(wanted))
    first, second = _padded(version, length), _padded(wanted, length)
    return (first > second) - (first < second)


def _padded(version: Version, length: int) -> Version:
    return version + (0,) * (length - len(version))


def _numbers(text: str) -> Version:
    return tuple(int(number) for number in text.split("."))


def find(folder: Path, base: str = ".") -> PythonVersion:
    """What the files say: those of `base`, the folder below that lists the dependencies, before the project's own."""
    places = dict.fromkeys((base, "."))
    conditions = [one for place in places for one in _conditions(folder / place, _prefix(place))]
    named = [one for place in places for one in _wishes(folder / place, _prefix(place))]
    return PythonVersion(
        tuple(conditions[:1]),
        tuple((text, origin) for text, origin in named if _VERSION.fullmatch(text)),
        tuple((origin, text) for text, origin in named if not (_VERSION.fullmatch(text) or _ANY.fullmatch(text))),
    )


def _prefix(place: str) -> str:
    return "" if place == "." else f"{place}/"


def _conditions(folder: Path, prefix: str) -> Iterable[Condition]:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return
    origin = f"{prefix}pyproject.toml"
    table = read_toml(path, origin)
    text = table.get("project", {}).get("requires-python")
    if text:
        yield Condition((str(text),), origin, str(text))
        return
    wanted: Any = table.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
    if isinstance(wanted, dict):
        wanted = wanted.get("version")
    if wanted:
        yield Condition(tuple(poetry.specifiers(str(wanted))), origin, str(wanted))


def _wishes(folder: Path, prefix: str) -> Iterable[tuple[str, str]]:
    """What each file names, and its name."""
    for name, pattern in (
        (".python-version", r"(?:cpython-)?(.+)"),
        ("runtime.txt", r"python-(.+)|(.+)"),
        (".tool-versions", r"python +(\S+).*"),
    ):
        path = folder / name
        if not path.is_file():
            continue
        lines = [line.partition("#")[0].strip() for line in read_text(path).splitlines()]
        named = [found[found.lastindex or 0] for line in lines if (found := re.fullmatch(pattern, line))]
        if named:  # the first version of several; what is no version only if there is none
            yield next((text for text in named if _VERSION.fullmatch(text)), named[0]), f"{prefix}{name}"
    path = folder / "Pipfile"
    if path.is_file():
        wanted = read_toml(path).get("requires", {})
        if version := wanted.get("python_full_version") or wanted.get("python_version"):
            yield str(version), f"{prefix}Pipfile"
    path = folder / "Dockerfile"
    if path.is_file() and (version := _of_dockerfile(read_text(path))):
        yield version, f"{prefix}Dockerfile"


def _of_dockerfile(text: str) -> str:
    """The Python of the last official image that a stage starts from; "" if there is none, or only `python:3`."""
    values: dict[str, str] = dict(re.findall(r"""^ARG\s+(\w+)=["']?([\w.-]+)""", text, re.M | re.I))
    found = ""
    for line in re.findall(r"^FROM\s+(?:--\S+\s+)*(\S+)", text, re.M | re.I):
        name = re.sub(r"\$\{?(\w+)(?::?-([^}]*))?\}?", lambda match: values.get(match[1]) or match[2] or "", line)
        if image := re.match(r"(?:\S*/)?(?:python:|uv:python)(3\.\d+(?:\.\d+)?)(?![\w.])", name):
            found = image[1]
    return found
