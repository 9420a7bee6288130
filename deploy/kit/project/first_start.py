"""The command that creates a project's database, where the project has no migrations.

Flask's tutorial has `flask init-db`, other projects a script `init_db.py`, or a call below `if __name__ == "__main__":`
that no server ever runs. Without it the site comes up, and its first query fails for lack of a table. Such a command
may drop what is there, so it is for an empty database alone: `deploy/app/first_start.py` sees to that.
"""

import ast
import builtins
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit import dotenv
from kit.project import django, ini
from kit.project.reading import folders, is_readable, modules, parse_module, read_text, relative

VARIABLE = "INIT_COMMAND"

_VERB, _THING = "init|initiali[sz]e|create|setup|make|build", "db|database|databases|tables?|schema"
NAME = re.compile(
    rf"(?:{_VERB})[-_]?(?:the[-_])?(?:all[-_])?(?:(?:db|database)[-_])?(?:{_THING})|(?:db|database)[-_]?(?:init|create|setup)"
)
"""What such commands, functions and scripts are called. Nothing that also resets, drops or fills."""

PYRAMID = re.compile(r"\b(initialize_\w*db)\b['\"]?\s*=")
"""A command of the project that takes the .ini file, as its templates name it."""

CREATES = re.compile(r"^\s*CREATE\s+TABLE\b", re.I | re.M)
SCHEMA_DEPTH = 1
"""Files of SQL are looked for in the project's folder and those in it."""

DEPTH = 3
"""Modules are looked at in so many folders within each other."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    command: str
    """Runs in the folder of the application. Empty if none was found that runs without questions."""
    origin: str
    note: str = ""
    """What to say about a command that was found and cannot be run like this."""


def find(folder: Path, root: Path, application: str, *, has_migrations: bool = False) -> FirstStart | None:
    """The first of: a command of Flask's or Pyramid's, a call below `if __name__ == "__main__":`, a script beside the
    application. Of a project with migrations, only Pyramid's, which adds the first rows.

    `application` is `module:expression`, importable from `root`.
    """
    if has_migrations:
        return next(_pyramid_scripts(folder), None)
    trees = {path: tree for path in modules(folder, DEPTH) if (tree := parse_module(path))}
    commands = list(_flask_commands(trees, folder, application))
    found = [
        *commands,
        *_pyramid_scripts(folder),
        *_main_calls(trees, folder, root, application),
        *_scripts(trees, folder, root),
        *_schemas(trees, folder, root),
    ]
    usable = [one for one in found if one.command]
    return next(iter(usable or found), None)


# --- The command that Pyramid's templates of projects have


def _pyramid_scripts(folder: Path) -> Iterator[FirstStart]:
    name = ini.find(folder)
    for file in ("pyproject.toml", "setup.py", "setup.cfg") if name else ():
        path = folder / file
        if path.is_file() and is_readable(path) and (found := PYRAMID.search(text := read_text(path))):
            yield FirstStart(f"{found[1]} {name}", f"{file}:{text.count(chr(10), 0, found.start(1)) + 1}")


# --- Commands of click


def _flask_commands(trees: dict[Path, ast.Module], folder: Path, application: str) -> Iterator[FirstStart]:
    registered = {name for tree in trees.values() for name in _registered(tree)}
    for path, tree in trees.items():
        groups = dict(_groups(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield from _flask_command(
                    node, groups, registered, f"{relative(path, folder)}:{node.lineno}", application
                )


def _flask_command(
    node: ast.FunctionDef, groups: dict[str, str], registered: set[str], origin: str, application: str
) -> Iterator[FirstStart]:
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        owner, _, last = ast.unparse(call.func if call else decorator).rpartition(".")
        name = _name_of(call, node)
        if last != "command" or not NAME.fullmatch(name):
            continue
        owner = owner.removesuffix(".cli")
        is_known = owner in groups or ast.unparse(call.func if call else decorator).endswith(".cli.command")
        if not is_known and not (owner in ("", "click") and node.name in registered):
            continue
        words = [word for word in (groups.get(owner, ""), name) if word]
        # not --app, which Flask before 2.2 does not know
        command = f"env FLASK_APP={shlex.quote(application)} flask {' '.join(words)}"
        if asked := _asks(node):
            yield FirstStart("", origin, f"`{command}` creates the database, and {asked}: not run")
        else:
            yield FirstStart(command, origin)


def _name_of(call: ast.Call | None, node: ast.FunctionDef) -> str:
    given = [*call.args[:1], *(one.value for one in call.keywords if one.arg == "name")] if call else []
    if given and isinstance(given[0], ast.Constant):
        return str(given[0].value)
    return node.name.replace("_", "-")


def _asks(node: ast.FunctionDef) -> str:
    """Why the command does not run on its own; empty if it does."""
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        kind = ast.unparse(decorator.func).rpartition(".")[2]
        given = {one.arg: ast.unparse(one.value) for one in decorator.keywords}
        if kind in ("confirmation_option", "password_option") or given.get("prompt", "False") not in ("False", "None"):
            return "asks a question"
        is_required = kind == "argument" and "default" not in given and given.get("required") != "False"
        if is_required or (kind == "option" and given.get("required") == "True"):
            return "needs arguments"
    return ""


def _registered(tree: ast.Module) -> Iterator[str]:
    """The functions that some `add_command` names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_command":
            yield from (ast.unparse(one).rpartition(".")[2] for one in node.args[:1])


def _groups(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The variables that commands of Flask's are added to: blueprints and groups, with the word that comes first."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        kind = ast.unparse(node.value.func).rpartition(".")[2]
        first = [one.value for one in node.value.args[:1] if isinstance(one, ast.Constant)]
        given = {one.arg: one.value for one in node.value.keywords}
        if kind not in ("Blueprint", "AppGroup") or not first:
            continue
        word = given.get("cli_group", ast.Constant(first[0]))
        name = "" if isinstance(word, ast.Constant) and word.value is None else ast.literal_eval(word)
        yield from ((target.id, str(name)) for target in node.targets if isinstance(target, ast.Name))


# --- What only `python app.py` runs


def _main_calls(trees: dict[Path, ast.Module], folder: Path, root: Path, application: str) -> Iterator[FirstStart]:
    module = application.partition(":")[0]
    path = django.find_module(root, module)
    tree = trees.get(path) if path else None
    if path is None or tree is None:
        return
    known = _defined(tree)
    for block in tree.body:
        if isinstance(block, ast.If) and "__name__" in ast.dump(block.test):
            for call, contexts in _calls(block.body, ()):
                if not NAME.fullmatch(ast.unparse(call.func).rpartition(".")[2]):
                    continue
                names = [*_names(call), *(name for context in contexts for name in _names(context))]
                if set(names) <= known:
                    steps = [f"from {module} import {', '.join(dict.fromkeys(names))}"]
                    steps += [f"{ast.unparse(context)}.push()" for context in contexts]
                    code = "; ".join([*steps, ast.unparse(call)])
                    yield FirstStart(f"python -c {shlex.quote(code)}", f"{relative(path, folder)}:{call.lineno}")


def _calls(body: list[ast.stmt], contexts: tuple[ast.expr, ...]) -> Iterator[tuple[ast.Call, tuple[ast.expr, ...]]]:
    """The calls of a block that are statements, with the contexts of an application that they are in."""
    for node in body:
        match node:
            case ast.Expr(value=ast.Call() as call):
                yield call, contexts
            case ast.With(items=items):
                inner = [one.context_expr for one in items if ast.unparse(one.context_expr).endswith(".app_context()")]
                yield from _calls(node.body, (*contexts, *inner))
            case ast.If():
                yield from _calls(node.body, contexts)


def _names(node: ast.AST) -> list[str]:
    found = [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
    return [name for name in found if not hasattr(builtins, name)]


def _defined(tree: ast.Module) -> set[str]:
    """The names that can be imported from a module."""
    names = set[str]()
    for node in ast.walk(ast.Module([one for one in tree.body if not isinstance(one, ast.If)], [])):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(one.asname or one.name).partition(".")[0] for one in aliases}
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


# --- Scripts


def _scripts(trees: dict[Path, ast.Module], folder: Path, root: Path) -> Iterator[FirstStart]:
    for path, tree in trees.items():
        if path.parent == root and NAME.fullmatch(path.stem) and _does_something(tree):
            yield FirstStart(f"python {shlex.quote(path.name)}", relative(path, folder))


def _schemas(trees: dict[Path, ast.Module], folder: Path, root: Path) -> Iterator[FirstStart]:
    """Files with tables that no module names: somebody runs them by hand."""
    for place in folders(folder, SCHEMA_DEPTH):
        for path in sorted(place.glob("*.sql")):
            if not is_readable(path) or not CREATES.search(read_text(path)):
                continue
            if any(path.name in read_text(module) for module in trees):
                continue
            code = f'import sqlite3; sqlite3.connect("PATH").executescript(open("{relative(path, root)}").read())'
            line = f"{VARIABLE}={dotenv.quote(f'python -c {shlex.quote(code)}')}"
            note = f"{path.name} creates tables, and nothing runs it. For SQLite, put into .env, with the path: {line}"
            yield FirstStart("", relative(path, folder), note)


def _does_something(tree: ast.Module) -> bool:
    """Whether it is a program, not only definitions for others."""
    return any(
        isinstance(node, ast.With | ast.For)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        or (isinstance(node, ast.If) and "__name__" in ast.dump(node.test))
        for node in tree.body
    )
