"""Reading a project's files. Nothing of the project is run: its Python is parsed, never imported.

A file that cannot be read is a KitError that names it. A module of Python that this Python cannot parse is no error: it
may be a template, or code for Python 2 that nothing imports.
"""

import ast
import codecs
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kit.errors import KitError

MAX_FILE_BYTES = 4_000_000
"""Ten times the largest lock or module that a person keeps in a project; what is larger is data."""

MAX_MODULES = 5000
"""So many modules are looked at. A larger tree has an environment or a dump of data in it."""

IGNORED_FOLDERS = frozenset(
    (
        *("__pycache__", "node_modules", "bower_components", "site-packages", "dist-packages", "htmlcov"),
        *(
            "build",
            "dist",
            "venv",
            "env",
            "virtualenv",
            "test",
            "tests",
            "testing",
            "doc",
            "docs",
            "example",
            "examples",
        ),
        *("migrations", "static", "staticfiles", "media", "templates", "locale"),
    )
)
"""Folders that hold no part of what is served, or no Python. Hidden ones and virtual environments are ignored too."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, shown: str = "") -> str:
    """The text, in UTF-8 or what its byte order mark says: PowerShell writes lists of requirements in UTF-16."""
    name = shown or path.name
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise KitError(f"{name}: is larger than {MAX_FILE_BYTES} bytes")
        data = path.read_bytes()
        encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
        return data.decode(encoding).replace("\r\n", "\n")
    except OSError as error:
        raise KitError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KitError(f"{name}: is not a text in UTF-8") from None


def read_toml(path: Path, shown: str = "") -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, shown))
    except tomllib.TOMLDecodeError as error:
        raise KitError(f"{shown or path.name}: is not valid TOML: {error}") from None


def read_json(path: Path, shown: str = "") -> dict[str, Any]:
    try:
        value = json.loads(read_text(path, shown))
    except json.JSONDecodeError as error:
        raise KitError(f"{shown or path.name}: is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise KitError(f"{shown or path.name}: must be an object of JSON")
    return value


def is_readable(path: Path) -> bool:
    """Whether `read_text` reads it."""
    try:
        read_text(path)
    except KitError:
        return False
    return True


def parse_module(path: Path) -> ast.Module | None:
    """The module's syntax tree; None if it is not one of this Python's."""
    return parse_text(read_text(path)) if is_readable(path) else None


def parse_text(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def syntax_error(path: Path) -> str:
    """Why this Python cannot parse the module, with the line; "" if it can."""
    try:
        ast.parse(read_text(path))
    except SyntaxError as error:
        return f"{error.lineno or 1}: {error.msg}"
    except (KitError, ValueError, RecursionError, MemoryError) as error:
        return f"1: {error}"
    return ""


def is_ignored(folder: Path) -> bool:
    """Whether nothing below this folder is part of what is served."""
    name = folder.name.lower()
    is_named = name in IGNORED_FOLDERS or name.startswith(".") or name.endswith(("-tests", "_tests"))
    return is_named or os.path.exists(folder / "pyvenv.cfg")


def folders(folder: Path, depth: int) -> Iterator[Path]:
    """The folder itself and those below it, the shallow ones first, without the ignored ones and without links."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        level = [below for above in level for below in _below(above)]


def _below(folder: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return []
    paths = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    # a database's folder may belong to the user of its container
    return [path for path in paths if os.access(path, os.R_OK | os.X_OK) and not is_ignored(path)]


def modules(folder: Path, depth: int) -> Iterator[Path]:
    """The modules of Python in those folders, without tests."""
    count = 0
    for place in folders(folder, depth):
        for path in sorted(place.glob("*.py")):
            if path.is_file() and not path.name.startswith("test_") and path.name not in ("conftest.py", "tests.py"):
                count += 1
                if count > MAX_MODULES:
                    return
                yield path


def relative(path: Path, folder: Path) -> str:
    """The path as it is shown and copied: relative to the project, with slashes; "." is the project itself."""
    return Path(os.path.relpath(path, folder)).as_posix()
