"""The places that an imported project names for what it writes later: a SQLite file that the first request opens, a
folder for uploads, a folder that is made when it is needed.

Found in the values of its modules, and in the calls in their source, such as `sqlite3.connect(ROOT / "notes.db")` and
`os.makedirs("media")`. Only looks at modules that are imported already. project_answer.py imports this.
"""

import ast
import itertools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

DATABASE = re.compile(r"(?:sqlite(?:\+\w+)?:///|file:)?([^?:*\n]+\.(?:db|db3|sqlite|sqlite3))(?:\?.*)?")
"""A SQLite file: its path, or its URL."""

UPLOADS = re.compile(r"(?:UPLOAD|MEDIA)[A-Z]*(?:_(?:FOLDER|DIR|DIRECTORY|ROOT|PATH))?")
"""Names of variables for a folder with uploads."""

FOLDERS = re.compile(
    r"(?:[A-Z0-9]+[._])*(?:DATA|CACHE|LOCK|SESSION|LOG|TMP|TEMP)S?(?:_FILES?)?_(?:FOLDER|DIR|DIRECTORY|ROOT)"
)
"""Names of variables for other folders that are written to. Not those with files that a project brings along."""

BROUGHT = frozenset(
    (
        *(".conf", ".cfg", ".css", ".csv", ".htm", ".html", ".ico", ".ini", ".j2", ".jinja", ".jinja2", ".js"),
        *(".json", ".less", ".mako", ".md", ".mjs", ".mo", ".po", ".py", ".rst", ".scss", ".sh", ".sql"),
        *(".svg", ".toml", ".tpl", ".ts", ".ttf", ".txt", ".woff", ".woff2", ".xml", ".yaml", ".yml"),
    )
)
"""Suffixes of files that belong to a project's code. Others in a folder that it makes were written by it before."""

MOST_FILES = 10_000
"""So many are looked at."""

MOST_SOURCE = 1 << 20
"""Octets of a module that are read: longer ones are data."""

EVALUATED = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.Div, ast.Add, ast.JoinedStr, ast.FormattedValue)
CALLED = {"Path", "PurePath", "str", "fspath", "join", "joinpath", "dirname", "abspath", "realpath", "normpath"} | {
    *("resolve", "absolute", "with_name", "with_suffix")
}
"""What an argument may consist of: nothing that reads or changes anything but the names of files."""


def named_places(folder: Path, top: Path) -> set[str]:
    """Absolute paths below `top`; a folder ends with "/". Relative ones are resolved in `folder`."""
    found: set[str] = set()
    for module in _modules(top):
        values = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        found |= set(places_of_values(values, folder))
        for value in list(values.values()):
            if isinstance(value, dict):  # options of a library, such as {"session.data_dir": "./data"}
                inner = {key: each for key, each in value.items() if isinstance(key, str)}
                found |= {place for place in places_of_values(inner, folder) if place.endswith("/")}
        found |= set(_places_of_calls(module, folder))
    return {place for place in found if place.startswith(f"{top}{os.sep}") and "/site-packages/" not in place}


def places_of_values(values: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Of variables, or of an application's configuration."""
    for name, value in values.items():
        if not isinstance(value, (str, os.PathLike)) or not (text := str(value)):
            continue
        if database := DATABASE.fullmatch(text):
            if not name.startswith("SQLALCHEMY_"):  # relative to another folder: project_answer knows which
                yield _absolute(database[1], folder)
        elif _is_for_uploads(name, value) or _is_new_folder(name, text, folder):
            yield f"{_absolute(text, folder)}/"


def _is_new_folder(name: str, text: str, folder: Path) -> bool:
    return bool(FOLDERS.fullmatch(name.upper())) and "://" not in text and _is_for_data(_absolute(text, folder))


def _is_for_data(place: str) -> bool:
    """Whether a folder is not there, or has nothing in it but what keeps it in Git and what the project has written."""
    path = Path(place)
    if not path.exists():
        return True
    files = itertools.islice((each for each in path.rglob("*") if each.is_file()), MOST_FILES)
    return path.is_dir() and not any(each.suffix.lower() in BROUGHT for each in files if each.name[0] != ".")


def _is_for_uploads(name: str, value: str | os.PathLike[str]) -> bool:
    """A relative path needs a name that says that it is a folder."""
    match = UPLOADS.fullmatch(name.upper())
    if not match or "://" in str(value):
        return False
    return os.path.isabs(value) or not isinstance(value, str) or "_" in match[0]


def _absolute(name: str, folder: Path) -> str:
    return os.path.normpath(folder / name)


def _modules(top: Path) -> list[ModuleType]:
    """The project's own."""
    modules = [module for module in sys.modules.values() if isinstance(getattr(module, "__file__", None), str)]
    return [
        module
        for module in modules
        if str(module.__file__).startswith(f"{top}{os.sep}") and "/site-packages/" not in str(module.__file__)
    ]


def _places_of_calls(module: ModuleType, folder: Path) -> Iterator[str]:
    """SQLite files and new folders that a call in the module's source names."""
    path = Path(str(module.__file__))
    try:
        if path.stat().st_size > MOST_SOURCE:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _name(node.func) in CALLED:
            continue
        for argument in (*node.args[:1], *(keyword.value for keyword in node.keywords)):
            if _has_text(argument) and (found := DATABASE.fullmatch(_text(argument, module))):
                yield _absolute(found[1], folder)
        made = _made_folder(node, module)
        if made and _is_for_data(_absolute(made, folder)):
            yield f"{_absolute(made, folder)}/"


def _made_folder(node: ast.Call, module: ModuleType) -> str:
    """What `os.makedirs(...)` or `....mkdir()` makes; empty for another call."""
    match node.func:
        case ast.Attribute(value=ast.Name(id="os"), attr="makedirs" | "mkdir") if node.args:
            return _text(node.args[0], module)
        case ast.Attribute(value=owner, attr="mkdir"):
            return _text(owner, module)
    return ""


def _has_text(expression: ast.expr) -> bool:
    return any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(expression))


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(expression: ast.expr, module: ModuleType) -> str:
    """The value of an expression that makes up a path; empty if it is none, or not known here."""
    if not all(_is_harmless(each) for each in ast.walk(expression)):
        return ""
    try:
        value = eval(compile(ast.Expression(expression), "<path>", "eval"), dict(vars(module)))
    except Exception:  # noqa: BLE001 - a name that only the function has, for one
        return ""
    return str(value) if isinstance(value, (str, os.PathLike)) else ""


def _is_harmless(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _name(node.func) in CALLED and not node.keywords
    return isinstance(node, (*EVALUATED, ast.expr_context))
