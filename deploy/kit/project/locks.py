"""Locks that uv does not read: poetry.lock, pdm.lock and Pipfile.lock, as pins with the hashes that they hold.

poetry.lock and pdm.lock hold every version of every group. What to install of them follows from the project's own
dependencies, so they become constraints. The "default" section of Pipfile.lock is the list itself.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.project import poetry
from kit.project.installation import PROJECT_ROOT, Pin
from kit.project.names import is_usual_index, normalize
from kit.project.reading import read_json, read_toml

LOCAL_SOURCES = ("directory", "file")
"""Sources of poetry.lock that are paths."""


def read_poetry(path: Path) -> tuple[Pin, ...]:
    """Versions 1.0, 1.1, 2.0 and 2.1 of the format: the first two have the hashes in a table of their own."""
    lock = read_toml(path)
    hashes = lock.get("metadata", {}).get("files", {})
    return tuple(_poetry_pins(_packages(lock, path), {normalize(name): files for name, files in hashes.items()}))


def _packages(lock: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    packages = lock.get("package", [])
    if not isinstance(packages, list) or any("name" not in one or "version" not in one for one in packages):
        raise KitError(f"{path.name}: is not a lock: every [[package]] must have a name and a version")
    return packages


def _poetry_pins(packages: Iterable[Mapping[str, Any]], hashes: Mapping[str, Any]) -> Iterator[Pin]:
    for package in packages:
        name, source = normalize(package["name"]), package.get("source", {})
        if source.get("type") in LOCAL_SOURCES:
            continue
        files = package.get("files") or hashes.get(name, [])
        markers = package.get("markers", "")
        # by group, where groups disagree: only that of the main one counts here
        marker = markers.get("main", "") if isinstance(markers, dict) else markers
        # what an extra asks for is not installed unless the project's own list names it
        marker = "" if "extra ==" in marker else marker
        url = _poetry_url(source)
        yield Pin(name, package["version"], () if url.startswith("git+") else _hashes(files), marker, url)


def _poetry_url(source: Mapping[str, Any]) -> str:
    match source.get("type"):
        case "git":
            folder = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
            return f"git+{poetry.git_url(source['url'])}@{source['resolved_reference']}{folder}"
        case "url":
            return str(source["url"])
        case _:
            return ""


def read_pdm(path: Path) -> tuple[Pin, ...]:
    pins: dict[tuple[str, str, str], Pin] = {}
    for package in _packages(read_toml(path), path):
        if "path" in package:
            continue
        url = (
            f"git+{poetry.git_url(package['git'])}@{package['revision']}"
            if "git" in package
            else package.get("url", "")
        )
        hashes = () if "git" in package else _hashes(package.get("files", []))
        pin = Pin(normalize(package["name"]), package["version"], hashes, package.get("marker", ""), url)
        # with extras, a package is listed once for each set of them
        pins.setdefault((pin.name, pin.version, pin.marker), pin)
    return tuple(pins.values())


def _hashes(files: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(sorted({str(file["hash"]) for file in files if "hash" in file}))


def read_pipfile_lock(path: Path) -> tuple[list[str], list[str]]:
    """The requirements, each with its hashes, and the options that name indexes other than the usual one."""
    lock = read_json(path)
    if "default" not in lock:
        raise KitError(f'{path.name}: is not a lock: it has no "default" section')
    sources = lock.get("_meta", {}).get("sources", [])
    options = [f"--extra-index-url {_expanded(one['url'])}" for one in sources if not is_usual_index(one)]
    return [_pipfile_requirement(name, wanted) for name, wanted in lock["default"].items()], options


def _expanded(url: str) -> str:
    """pipenv replaces `$NAME` and `${NAME}`; uv only the latter, and not in an option."""
    return os.path.expandvars(url)


def _pipfile_requirement(name: str, wanted: Mapping[str, Any]) -> str:
    extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
    marker = f" ; {wanted['markers']}" if wanted.get("markers") else ""
    if "git" in wanted:
        folder = f"#subdirectory={wanted['subdirectory']}" if wanted.get("subdirectory") else ""
        return f"{name}{extras} @ git+{poetry.git_url(wanted['git'])}@{wanted['ref']}{folder}{marker}"
    if "path" in wanted:
        return f"{PROJECT_ROOT}/{wanted['path']}{extras}{marker}"
    if "file" in wanted:
        return f"{name}{extras} @ {wanted['file']}{marker}"
    hashes = "".join(f" \\\n    --hash={value}" for value in wanted.get("hashes", []))
    version = "" if wanted.get("version") == "*" else wanted.get("version", "")
    return f"{name}{extras}{version}{marker}{hashes}"
