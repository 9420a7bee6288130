"""The variables that a project reads from its environment, by its syntax trees.

Understood are os.environ and os.getenv, django-environ and environs, python-decouple, dj-database-url, settings of
pydantic, and functions of the project's own that pass a parameter on to os.environ.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from kit.project.modules import imported_names
from kit.project.reading import is_readable, parse_text, read_text, relative

CONVERTERS = frozenset(
    (
        *("str", "bytes", "bool", "int", "float", "json", "list", "tuple", "dict", "url", "path", "db", "db_url"),
        *("dj_db_url", "cache", "cache_url", "email", "email_url", "search_url", "decimal", "date", "datetime", "enum"),
        *("log_level", "timedelta", "unicode", "get_value", "channels", "channels_url", "time", "uuid"),
    )
)
"""Methods of an `Env` of django-environ or environs that read a variable."""

IMPLIED = {
    "db": "DATABASE_URL",
    "db_url": "DATABASE_URL",
    "cache": "CACHE_URL",
    "cache_url": "CACHE_URL",
    "email": "EMAIL_URL",
    "email_url": "EMAIL_URL",
}
"""The variable that a method reads if it is given no name."""

USUAL_READERS = {"env": "env", "config": "config"}
"""Names under which settings import the readers of others: `from .base import *`, `from .base import env`."""

MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class EnvironmentName:
    name: str
    origin: str
    is_required: bool
    """Whether reading it raises when it is not set: it has no default."""
    is_secret_key: bool = False
    """Whether it becomes the framework's SECRET_KEY: it signs sessions, so a default in the code is no secret."""
    is_storage: bool = False
    """Whether it names where files are kept, and its default is the folder that the project runs in."""
    database: str = ""
    """The kind of a variable that names the project's database and has no default (kit.project.database_names)."""


STORAGE = re.compile(r"(STORAGE|UPLOADS?|MEDIA|DATA|FILES)_?(PATH|DIR(ECTORY)?|FOLDER|ROOT)?$")
"""Names of variables that say where files are kept. Code and settings are not: CONFIG_DIR, PROJECT_ROOT."""

Functions = dict[str, tuple[int, bool]]
"""Functions that read the variable which a parameter names: its place, and whether the variable must be set."""

READS = re.compile(r"environ|getenv|decouple|BaseSettings|dj_database_url|\b(?:env(?:\.\w+)?|config)\(\s*['\"][A-Z]")
"""What is in the text of every module that reads a variable by itself."""

ROUNDS = 3
"""Functions that call each other are followed so far."""


def parse(files: Iterable[Path]) -> dict[Path, "ParsedModule"]:
    """The modules that read variables, by themselves or by a function of the project."""
    texts = {path: read_text(path) for path in files if is_readable(path)}
    functions: Functions = {}
    parsed = _parsed(texts, READS, functions)
    for _ in range(ROUNDS):
        for module in parsed.values():
            functions.update(module.own_functions())
    if functions:
        calls = re.compile(rf"\b(?:{'|'.join(map(re.escape, functions))})\(\s*['\"][A-Z]")
        parsed |= _parsed({path: text for path, text in texts.items() if path not in parsed}, calls, functions)
    return parsed


def find(
    parsed: Mapping[Path, "ParsedModule"],
    folder: Path,
    unused: Collection[Path] = (),
    databases: Mapping[str, str] = MappingProxyType({}),
) -> tuple[EnvironmentName, ...]:
    """Each name once, sorted: with the first place that insists on it, or the first place if none does.

    `unused` are modules that nothing imports as things are: what they insist on is not required. `databases` are the
    kinds of those that name the database: they are required.
    """
    found: dict[str, EnvironmentName] = {}
    secret_keys = {name for module in parsed.values() for name in module.secret_keys()}
    storage = {name for module in parsed.values() for name in module.storage()}
    for path, module in sorted(parsed.items()):
        for name, line, insists in module.names():
            is_required = (insists or name in databases) and path not in unused
            if not name.isidentifier() or len(name) > MAX_NAME:
                continue
            if name not in found or (is_required and not found[name].is_required):
                found[name] = EnvironmentName(
                    name,
                    f"{relative(path, folder)}:{line}",
                    is_required,
                    name in secret_keys,
                    name in storage,
                    databases.get(name, ""),
                )
    return tuple(found[name] for name in sorted(found))


def _parsed(texts: Mapping[Path, str], wanted: re.Pattern[str], functions: Functions) -> dict[Path, "ParsedModule"]:
    """The modules with such a text in them: to parse all those of a large project takes many seconds."""
    found = {path: parse_text(text) for path, text in texts.items() if wanted.search(text)}
    return {path: ParsedModule(tree, functions) for path, tree in found.items() if tree}


class ParsedModule:
    """A module's syntax tree, and which variables are read where in it."""

    def __init__(self, tree: ast.Module, functions: Functions) -> None:
        self.tree = tree
        self._functions = functions
        """Of all modules of the project, by their names alone."""
        self._imports = imported_names([node for node in ast.walk(tree) if isinstance(node, ast.stmt)])
        self._readers = dict(self._assigned_readers())
        self._defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    def names(self) -> Iterator[tuple[str, int, bool]]:
        """Name, line, and whether it has to be set."""
        has_default = self._scheme_defaults() | self._tested()
        for node, is_conditional in nodes(self.tree):
            for name, is_required in self._read_by(node):
                yield name, getattr(node, "lineno", 0), is_required and not is_conditional and name not in has_default
        yield from self._pydantic()

    def secret_keys(self) -> Iterator[str]:
        """Names read in what becomes SECRET_KEY."""
        for node in ast.walk(self.tree):
            for value in secret_key_values(node):
                yield from self.variables_in(value)

    def storage(self) -> Iterator[str]:
        """Names of places for files whose default is `.`: in the container, that folder cannot be written."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                defaults = (*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "default"))
                if any(isinstance(one, ast.Constant) and one.value in (".", "./") for one in defaults):
                    yield from (name for name, _ in self._read_by(node) if STORAGE.search(name))

    def variables_in(self, node: ast.AST) -> Iterator[str]:
        """Names that are read somewhere in a part of the module."""
        for part in ast.walk(node):
            for name, _ in self._read_by(part):
                yield name

    def insists(self, node: ast.AST) -> bool:
        """Whether a part of the module raises without a variable."""
        return any(is_required for part in ast.walk(node) for _, is_required in self._read_by(part))

    def variables_of(self, node: ast.AST) -> Iterator[str]:
        """The name that this expression itself reads."""
        for name, _ in self._read_by(node):
            yield name

    def _assigned_readers(self) -> Iterator[tuple[str, str]]:
        """Names of the module that are readers: `env = environ.Env()`, `config = AutoConfig()`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                called = self.dotted(node.value.func)
                kind = {"Env": "env", "FileAwareEnv": "env", "AutoConfig": "config"}.get(called.rpartition(".")[2])
                for target in node.targets:
                    if kind and isinstance(target, ast.Name):
                        yield target.id, kind
        for name, (module, original) in self._imports.items():
            if (module, original) == ("decouple", "config"):
                yield name, "config"
            elif (module, original) == ("environs", "env"):
                yield name, "env"
            elif original in USUAL_READERS:
                yield name, USUAL_READERS[original]
        if any(original == "*" for _, original in self._imports.values()):
            yield from USUAL_READERS.items()

    def _scheme_defaults(self) -> set[str]:
        """Names with a default in `environ.Env(DEBUG=(bool, False))`."""
        return {
            keyword.arg
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call) and self.dotted(node.func).rpartition(".")[2] == "Env"
            for keyword in node.keywords
            if keyword.arg and isinstance(keyword.value, ast.Tuple) and len(keyword.value.elts) == 2
        }

    def _tested(self) -> set[str]:
        """Names in `"NAME" in os.environ`: what follows is prepared for their absence."""
        return {
            node.left.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Compare)
            and isinstance(node.left, ast.Constant)
            and isinstance(node.left.value, str)
            and any(self.dotted(one) in ("os.environ", "env") for one in node.comparators)
        }

    def own_functions(self) -> Iterator[tuple[str, tuple[int, bool]]]:
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            parameters = [one.arg for one in node.args.args]
            for part in ast.walk(node):
                name, is_required = self._environ_read(part)
                if name is None and isinstance(part, ast.Call):
                    name, is_required = self._own_read(part)
                if isinstance(name, ast.Name) and name.id in parameters:
                    yield node.name, (parameters.index(name.id), is_required and not node.args.defaults)

    def _own_read(self, node: ast.Call) -> tuple[ast.expr | None, bool]:
        """What a call of a function of the project reads: `environment.text("NAME")`, `get_env("NAME", "default")`."""
        match node.func:
            case ast.Name(id=name) if name in self._defined or name in self._imports:
                pass
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner in self._imports:
                pass
            case _:
                return None, False
        place, is_required = self._functions.get(name, (len(node.args), False))
        if place >= len(node.args):
            return None, False
        return node.args[place], is_required and len(node.args) == place + 1 and not node.keywords

    def _read_by(self, node: ast.AST) -> Iterator[tuple[str, bool]]:
        name, is_required = self._environ_read(node)
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value, is_required
        elif isinstance(node, ast.Call):
            yield from self._call(node)

    def _environ_read(self, node: ast.AST) -> tuple[ast.expr | None, bool]:
        """The expression that names the variable of os.environ, and whether it must be set."""
        match node:
            case ast.Subscript(value=owner, slice=name, ctx=ast.Load()) if self.dotted(owner) == "os.environ":
                return name, True
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[name, *_]) if (
                self.dotted(owner) == "os.environ"
            ):
                return name, False
            case ast.Call(func=function, args=[name, *_]) if self.dotted(function) == "os.getenv":
                return name, False
        return None, False

    def _call(self, node: ast.Call) -> Iterator[tuple[str, bool]]:
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        has_default = "default" in keywords or len(node.args) > 1
        match node.func:
            case ast.Name(id=name) if name in self._readers and isinstance(first, str):
                yield first, not has_default
            case ast.Attribute(value=ast.Name(id=owner), attr=method) if self._readers.get(
                owner
            ) == "env" and method in CONVERTERS.union(IMPLIED):
                if method in CONVERTERS and isinstance(first, str):
                    yield first, not has_default
                elif method in IMPLIED and first is None:
                    yield IMPLIED[method], not has_default
            case function if self.dotted(function) == "dj_database_url.config":
                given = keywords.get("env")
                yield str(given.value) if isinstance(given, ast.Constant) else "DATABASE_URL", False
            case _:
                variable, is_required = self._own_read(node)
                if isinstance(variable, ast.Constant) and isinstance(variable.value, str) and variable.value.isupper():
                    yield variable.value, is_required

    def optional_read(self, node: ast.AST) -> str:
        """The variable whose value an expression is, and None or blank if it is not set; empty if it is another one."""
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            return ""
        function, name = node.func, node.args[0].value
        is_plain = self.dotted(function) in ("os.environ.get", "os.getenv")
        is_reader = isinstance(function, ast.Name) and function.id in self._readers
        defaults = [*node.args[1:], *(each.value for each in node.keywords if each.arg == "default")]
        is_blank = all(isinstance(each, ast.Constant) and each.value in (None, "") for each in defaults)
        # a reader without a default raises
        is_optional = (is_plain or (is_reader and defaults)) and is_blank
        return str(name) if is_optional and isinstance(name, str) else ""

    def dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{self.dotted(node.value)}.{node.attr}"
        if isinstance(node, ast.Name):
            module, name = self._imports.get(node.id, ("", node.id))
            return ".".join(filter(None, (module, name)))
        return ""

    def _pydantic(self) -> Iterator[tuple[str, int, bool]]:
        """Fields of a class that inherits from BaseSettings."""
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            if not any(self.dotted(base).rpartition(".")[2] == "BaseSettings" for base in node.bases):
                continue
            prefix = _prefix(node)
            for field in node.body:
                match field:
                    case ast.AnnAssign(target=ast.Name(id=name)) if name != "model_config":
                        yield f"{prefix}{name}".upper(), field.lineno, field.value is None


def secret_key_values(node: ast.AST) -> Iterator[ast.expr]:
    """What `SECRET_KEY = ...`, `app.secret_key = ...`, `config["SECRET_KEY"] = ...` and `SECRET_KEY=...` are given."""
    match node:
        case ast.Assign(targets=targets, value=value):
            if any(map(_is_secret_key, targets)):
                yield value
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            if _is_secret_key(target):
                yield value
        case ast.keyword(arg="SECRET_KEY", value=value):
            yield value


def _is_secret_key(target: ast.expr) -> bool:
    match target:
        case (
            ast.Name(id="SECRET_KEY")
            | ast.Attribute(attr="SECRET_KEY" | "secret_key")
            | ast.Subscript(slice=ast.Constant(value="SECRET_KEY"))
        ):
            return True
    return False


def nodes(node: ast.AST, *, is_conditional: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it may not be reached when the module is imported."""
    yield node, is_conditional
    for name, value in ast.iter_fields(node):
        match node:
            case ast.If() | ast.IfExp():
                below = name != "test"
            case ast.Try():
                below = bool(node.handlers)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.For() | ast.While():
                below = name in ("body", "orelse")
            case ast.BoolOp():
                below = True
            case _:
                below = False
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from nodes(child, is_conditional=is_conditional or below)


def _prefix(node: ast.ClassDef) -> str:
    for part in ast.walk(node):
        match part:
            case ast.keyword(arg="env_prefix", value=ast.Constant(value=str(text))):
                return text
            case ast.Assign(targets=[ast.Name(id="env_prefix")], value=ast.Constant(value=str(text))):
                return text
    return ""
