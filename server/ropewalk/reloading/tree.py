"""Files that no import names: templates, and what `--reload-extra-file` asks for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch

TEMPLATE_FOLDERS = frozenset({"templates", "jinja2"})
"""The names by which Django, Flask, Jinja and Pyramid look for them."""

TEMPLATES = (".html", ".htm", ".jinja", ".jinja2", ".j2", ".mako", ".pt", ".txt", ".xml")

SOURCES = (".py",)

SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "dist-packages", "__pypackages__"})
"""Folders that nobody edits. Those that begin with a dot, and virtual environments by any name, are skipped too."""

MAX_FOLDERS = 4096
"""A tree with more is not looked through to its end: somebody started in a home folder."""


def folders(root: str) -> Iterator[tuple[str, list[str]]]:
    """The folders below `root` that somebody may edit, each with the names of its files."""
    pending, seen = [root], 0
    while pending and seen < MAX_FOLDERS:
        folder, seen = pending.pop(), seen + 1
        try:
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:  # gone meanwhile, or not for this user
            continue
        names = [name for name, is_folder in found if not is_folder]
        if "pyvenv.cfg" in names:
            continue
        pending += [
            os.path.join(folder, name)
            for name, is_folder in found
            if is_folder and name not in SKIPPED and not name.startswith(".")
        ]
        yield folder, names


def templates_and_sources(root: str, *, with_sources: bool) -> Iterator[str]:
    """The templates below `root`; `with_sources`: all of Python's files as well."""
    for folder, names in folders(root):
        is_of_templates = not TEMPLATE_FOLDERS.isdisjoint(folder[len(root) :].split(os.sep))
        suffixes = (TEMPLATES if is_of_templates else ()) + (SOURCES if with_sources else ())
        if suffixes:
            yield from (os.path.join(folder, name) for name in names if name.endswith(suffixes))


def expanded(patterns: Iterable[str]) -> Iterator[str]:
    """The files of paths, folders and glob patterns (`**` for any depth). A path without a file is itself.

    At any depth, only what `folders` finds: a pattern that begins with `**` does not mean installed packages.
    """
    for pattern in patterns:
        path = os.path.abspath(pattern)
        if "**" in path.split(os.sep):
            yield from _at_any_depth(path)
        elif glob.has_magic(path):
            yield from (each for each in glob.iglob(path) if os.path.isfile(each))
        elif os.path.isdir(path):
            for folder, names in folders(path):
                yield from (os.path.join(folder, name) for name in names)
        else:
            yield path


def _at_any_depth(pattern: str) -> Iterator[str]:
    parts = pattern.split(os.sep)
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root = os.sep.join(parts[:fixed]) or os.sep
    for folder, names in folders(root):
        inside = os.path.relpath(folder, root).split(os.sep) if folder != root else []
        yield from (os.path.join(folder, name) for name in names if _matches([*inside, name], parts[fixed:]))


def _matches(names: list[str], parts: list[str]) -> bool:
    """Whether the names of a path are those of a pattern."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_matches(names[start:], parts[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatch(names[0], parts[0]) and _matches(names[1:], parts[1:])


class Ignored:
    """Which paths patterns leave out: those that one matches, whole or at their end, and what is in such a folder."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = patterns

    def __contains__(self, path: str) -> bool:
        return any(
            fnmatch(path, pattern)
            or fnmatch(path, f"*{os.sep}{pattern.rstrip(os.sep)}")
            or fnmatch(path, f"*{os.sep}{pattern.rstrip(os.sep)}{os.sep}*")
            for pattern in self._patterns
        )
