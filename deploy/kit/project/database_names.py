"""Variables that name the project's database and are read without a default, as in `os.environ.get("APP_DATABASE")`.

Reading them does not fail, so nothing says that they are missing: the site starts, and cannot write. They count as
required. Known are the usual settings and calls (`SQLALCHEMY_DATABASE_URI`, `create_engine`, `sqlite3.connect`,
Django's DATABASES), and names such as APP_DATABASE and DB_PATH. What the code is prepared to miss, by a test or an
`or`, is left out.
"""

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from kit.project.environment_names import ParsedModule

URL = "url"
FILE = "file"
ENGINE = "engine"
UNKNOWN = "unknown"
"""Its kind is not known, or it is a part of a server's address."""

PROPOSALS = {URL: "sqlite:////data/db.sqlite3", FILE: "/data/db.sqlite3", ENGINE: "django.db.backends.sqlite3"}
"""In the data volume."""

NAME = re.compile(r"(?:\w+_)?(?:DATABASE|DB|SQLITE3?)(?:_(?:UR[LI]|DSN|PATH|FILE|FILENAME))?")
"""Names of variables, and of settings that they become."""

OTHERS = re.compile(r"LEGACY|OLD|REPLICA|READ|TEST|SECOND|OTHER|ANALYTICS|REDIS|MONGO|GEOIP|VECTOR|CACHE|REMOTE")
"""In names of databases without which a project may work."""

URL_CALLS = ("create_engine", "create_async_engine", "dj_database_url.parse", "dataset.connect", "databases.Database")
FILE_CALLS = ("sqlite3.connect", "SqliteDatabase", "SqliteExtDatabase", "TinyDB")
NOT_SQLITE = re.compile(r"(?i)psycopg|postgres|mysql|mariadb|mssql|pyodbc|oracle|pg8000|cockroach")
"""In the names of packages and engines: the database may be on a server."""


def find(
    parsed: Mapping[Path, ParsedModule], packages: Collection[str], unused: Collection[Path] = ()
) -> dict[str, str]:
    """The kind of each: URL, FILE, ENGINE or UNKNOWN."""
    readers = [_Reader(module) for path, module in sorted(parsed.items()) if path not in unused]
    found: dict[str, str] = {}
    for name, kind in (*_all(_Reader.used, readers), *_all(_Reader.named, readers)):
        found.setdefault(name, kind)
    on_server = any(NOT_SQLITE.search(package) for package in packages)
    return {name: UNKNOWN if on_server else kind for name, kind in found.items()}


def _all(
    names: Callable[["_Reader"], Iterator[tuple[str, str]]], readers: list["_Reader"]
) -> Iterator[tuple[str, str]]:
    for reader in readers:
        yield from names(reader)


class _Reader:
    """One module: values of names that are read without a default, and what they are used for."""

    def __init__(self, module: ParsedModule) -> None:
        self.module = module
        self._tested = set(_tested(module.tree))
        self._read: dict[str, str] = {}
        """Names of the module that are such a variable's value: `PATH = os.environ.get("APP_DATABASE")`."""
        for node in _unconditional(module.tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if variable := module.optional_read(value):
                    self._read[name] = variable

    def used(self) -> Iterator[tuple[str, str]]:
        """By calls and settings that are always a database's."""
        for name, value in self._assigned():
            if name == "DATABASES":
                yield from self._databases(value)
            elif name == "SQLALCHEMY_DATABASE_URI" and (variable := self._variable(value)):
                yield variable, URL
        for node in _unconditional(self.module.tree):
            match node:
                case ast.Call(func=function, args=[first, *_]):
                    yield from self._called(self.module.dotted(function), first)

    def named(self) -> Iterator[tuple[str, str]]:
        """By the names of the variable, and of what it becomes."""
        for name, value in self._assigned():
            if (variable := self._variable(value)) and _is_database(name, variable):
                yield variable, kind_of_name(variable, name)

    def _assigned(self) -> Iterator[tuple[str, ast.expr]]:
        """Names, keys and parameters, and what they are given, unless the module tests them."""
        return (pair for pair in self._all_assigned() if pair[0] not in self._tested)

    def _all_assigned(self) -> Iterator[tuple[str, ast.expr]]:
        for node in _unconditional(self.module.tree):
            match node:
                case ast.Assign(targets=[target], value=value):
                    yield _name_of(target), value
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    yield _name_of(target), value
                case ast.keyword(arg=str(name), value=value):
                    yield name, value
                case ast.Dict(keys=keys, values=values):
                    for key, value in zip(keys, values, strict=True):
                        if isinstance(key, ast.Constant) and isinstance(key.value, str):
                            yield key.value, value

    def _called(self, function: str, first: ast.expr) -> Iterator[tuple[str, str]]:
        if not (variable := self._variable(first)):
            return
        last = function.rpartition(".")[2]
        if function in URL_CALLS or last in URL_CALLS:
            yield variable, URL
        elif function in FILE_CALLS or last in FILE_CALLS:
            yield variable, FILE

    def _databases(self, value: ast.expr) -> Iterator[tuple[str, str]]:
        """DATABASES of Django: the first entry of its dictionary."""
        match value:
            case ast.Dict(values=[ast.Dict(keys=keys, values=values), *_]):
                entry = {
                    key.value: each for key, each in zip(keys, values, strict=True) if isinstance(key, ast.Constant)
                }
            case _:
                return
        engine, name = entry.get("ENGINE"), entry.get("NAME")
        fixed = str(engine.value) if isinstance(engine, ast.Constant) else ""
        if engine and (variable := self._variable(engine)):
            yield variable, ENGINE
        if name and (variable := self._variable(name)):
            yield variable, UNKNOWN if fixed and not re.search("sqlite|spatialite", fixed) else FILE

    def _variable(self, value: ast.expr) -> str:
        """The variable that is the whole value; empty if there is none, or if its lack is prepared for."""
        match value:
            case ast.Name(id=name) if name not in self._tested:
                return self._read.get(name, "")
        variable = self.module.optional_read(value)
        return "" if variable in self._tested else variable


def kind_of_name(variable: str, setting: str = "") -> str:
    """By the name of the variable, or of the setting."""
    for name in (variable, setting):
        if re.search(r"(UR[LI]|DSN)$", name):
            return URL
        if re.search(r"(PATH|FILE|FILENAME)$", name) or "SQLITE" in name:
            return FILE
    return FILE  # such as DATABASE in Flask's tutorial


def _is_database(setting: str, variable: str) -> bool:
    is_named = NAME.fullmatch(setting.upper()) or NAME.fullmatch(variable)
    return bool(is_named) and not OTHERS.search(f"{setting.upper()} {variable}")


def _name_of(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""


def _tested(tree: ast.Module) -> Iterator[str]:
    """Names, and variables, that something depends on."""
    for node in ast.walk(tree):
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
                parts: list[ast.AST] = [test]
            case ast.BoolOp(values=values):
                parts = list(values[:-1])
            case _:
                continue
        for part in parts:
            for inner in ast.walk(part):
                match inner:
                    case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                        yield name


def _unconditional(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but what a branch or an error decides about; also those of functions."""
    yield node
    for name, value in ast.iter_fields(node):
        if isinstance(node, (ast.If, ast.IfExp)) and name != "test":
            continue
        if isinstance(node, ast.BoolOp) or (isinstance(node, ast.Try) and node.handlers):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _unconditional(child)
