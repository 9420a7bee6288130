"""The files that this process has imported, and which of them a developer edits.

`record_imports` notes what each source file was when it was imported, so that a change between then and the first look
is noticed, and a file that the application writes before it imports it is not taken for changed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import SourceFileLoader
from typing import Any

Stamp = tuple[float, int]
"""Modification time and size: what the import system compares, too."""

FRESH = 2.5  # seconds; more than the coarsest modification times, those of FAT

INSTALLED = frozenset({"site-packages", "dist-packages"})

_recorded: dict[str, Stamp] = {}
"""By path: the stamp at the last import. Written by whichever thread imports."""

_path_stats = SourceFileLoader.path_stats


def record_imports() -> None:
    """Note the stamp of each source file that is imported from now on. Only for development.

    A file that was just saved is compiled without a look at its byte code, and leaves none: that is valid for a whole
    second of modification time, and would hide the second of two saves.
    """

    def path_stats(self: SourceFileLoader, path: str) -> Any:
        found = _path_stats(self, path)
        _recorded[path] = (float(found["mtime"]), int(found["size"]))
        if found["mtime"] > time.time() - FRESH:
            raise OSError("too fresh for byte code")  # which `SourceLoader.get_code` then leaves alone
        return found

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]  # the only hook there is


def stamp_of(path: str) -> Stamp | None:
    """What the file is now; None if there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime, found.st_size


def imported_files() -> Iterator[tuple[str, Stamp | None]]:
    """The edited files among those of the modules, and those whose import failed; None without a recorded stamp."""
    yield from ((path, stamp) for path, stamp in list(_recorded.items()) if is_edited(path))
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path not in _recorded and is_edited(path):
            yield _in_file_system(path), None


@cache
def is_edited(path: str) -> bool:
    """Whether the file is a developer's own: neither installed, nor of Python, nor of this server."""
    if path.startswith("<") or not INSTALLED.isdisjoint(path.split(os.sep)):
        return False
    return not path.startswith(_libraries())


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    server = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    paths = sysconfig.get_paths()
    return tuple(f"{each}{os.sep}" for each in (server, *(paths[key] for key in ("stdlib", "platstdlib", "purelib"))))


@cache
def _in_file_system(path: str) -> str:
    """The path, or that of the archive which the module is in."""
    found = os.path.abspath(path)
    while not os.path.exists(found) and os.path.dirname(found) != found:
        found = os.path.dirname(found)
    return found if os.path.isfile(found) else os.path.abspath(path)
