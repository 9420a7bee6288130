"""The `[tool.poetry]` table of pyproject.toml as requirements, with version constraints as in PEP 440."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kit.errors import KitError
from kit.project.names import normalize

_VERSION = re.compile(r"(\d+(?:\.\d+)*)(.*)")


def specifiers(constraint: str) -> list[str]:
    """The alternatives (`||`) of a constraint of Poetry's, each as a PEP 440 specifier; "" allows every version."""
    return [_specifier(part) for part in re.split(r"\|\|?", constraint)]


def _specifier(constraint: str) -> str:
    parts = [part.strip() for part in re.split(r",|\s+(?=[\^~<>=!])", constraint.strip()) if part.strip()]
    return ",".join(filter(None, map(_clause, parts)))


def _clause(clause: str) -> str:
    clause = re.sub(r"\s+", "", clause)
    if clause in ("*", ""):
        return ""
    if clause.startswith("^"):
        return _below(clause[1:], _caret_position(clause[1:]))
    if clause.startswith("~") and not clause.startswith("~="):
        return _below(clause[1:], 1 if "." in clause else 0)
    if clause[0] in "<>=!~":
        return clause if clause[:2] in ("<=", ">=", "==", "!=", "~=") else re.sub("^=(?!=)", "==", clause)
    return f"=={clause}"


def _caret_position(version: str) -> int:
    """The part that must not change: the first that is not 0, or the last that is given."""
    numbers = _numbers(version)
    return next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)


def _below(version: str, position: int) -> str:
    numbers = _numbers(version)
    limit = [*numbers[:position], numbers[position] + 1]
    return f">={version},<{'.'.join(map(str, limit))}"


def _numbers(version: str) -> list[int]:
    found = _VERSION.match(version)
    if found is None:
        raise KitError(f"pyproject.toml: {version!r} is not a version")
    return [int(number) for number in found[1].split(".")]


def dependencies(table: Mapping[str, Any]) -> Iterator[str]:
    """The requirements of `[tool.poetry.dependencies]`, without Python itself and without optional ones."""
    for name, given in table.items():
        if normalize(name) == "python":
            continue
        for entry in given if isinstance(given, list) else [given]:
            wanted = {"version": entry} if isinstance(entry, str) else entry
            if not wanted.get("optional"):
                yield _requirement(name, wanted)


def local_paths(table: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The paths in `[tool.poetry.dependencies]`, and whether each is to be editable (`develop`)."""
    for given in table.values():
        for entry in given if isinstance(given, list) else [given]:
            if isinstance(entry, dict) and "path" in entry and not entry.get("optional"):
                yield str(entry["path"]), bool(entry.get("develop"))


def _requirement(name: str, wanted: Mapping[str, Any]) -> str:
    extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
    marker = " and ".join(f"({part})" for part in _markers(name, wanted))
    return f"{name}{extras}{_source(name, wanted)}" + (f" ; {marker}" if marker else "")


def _source(name: str, wanted: Mapping[str, Any]) -> str:
    if "git" in wanted:
        reference = wanted.get("rev") or wanted.get("tag") or wanted.get("branch")
        folder = f"#subdirectory={wanted['subdirectory']}" if wanted.get("subdirectory") else ""
        return f" @ git+{git_url(wanted['git'])}{f'@{reference}' if reference else ''}{folder}"
    if "url" in wanted:
        return f" @ {wanted['url']}"
    if "path" in wanted:
        return ""
    alternatives = specifiers(str(wanted.get("version", "*")))
    if len(alternatives) > 1:
        raise KitError(
            f"pyproject.toml: {name} = {wanted['version']!r} has alternatives, which only a lock can choose from:"
            " run `poetry lock` and keep poetry.lock"
        )
    return alternatives[0]


def git_url(url: str) -> str:
    """`git@host:owner/name.git` as a URL."""
    if "://" in url:
        return url
    host, _, path = url.partition(":")
    return f"ssh://{host}/{path}"


def _markers(name: str, wanted: Mapping[str, Any]) -> Iterator[str]:
    if "python" in wanted:
        alternatives = [_python_marker(text) for text in specifiers(str(wanted["python"]))]
        if all(alternatives):
            yield " or ".join(alternatives)
    if "platform" in wanted:
        yield f'sys_platform == "{wanted["platform"]}"'
    if "markers" in wanted:
        yield wanted["markers"]


def _python_marker(specifier: str) -> str:
    clauses = re.findall(r"([<>=!~]+)\s*([\w.*]+)", specifier)
    return " and ".join(
        f'{"python_full_version" if version.count(".") > 1 else "python_version"} {operator} "{version}"'
        for operator, version in clauses
    )
