"""The folders in a project that uploads go to, by its source: MEDIA_ROOT, UPLOAD_FOLDER and the like; without a
MEDIA_ROOT, the first part of `upload_to`. Only folders that are there, are no code, and are not the project itself.

While the image is built, the project itself is asked (deploy/app/project_answer.py); this is known before.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from kit.project.reading import is_readable, parse_text, read_text

SETTING = re.compile(r"MEDIA_ROOT|UPLOAD(?:S|ED)?(?:_\w+)?_(?:FOLDER|DIR|DIRECTORY|ROOT|PATH|DEST)")
WANTED = re.compile(f"{SETTING.pattern}|upload_to")
"""In the text of every module that says where uploads go."""

JOINING = ("join", "Path", "PurePath", "joinpath", "str", "abspath", "normpath", "resolve", "realpath", "fspath")
DEPTH = 6
"""Names that are made of other names are followed so far."""


def find(files: Iterable[Path], work_folder: Path, project: Path) -> list[Path]:
    """Relative to the project, sorted; none lies in another one."""
    trees = {path: _parsed(path) for path in files}
    named = [(path, parts) for path, tree in trees.items() if tree for parts in _settings(tree)]
    if not any(name == "MEDIA_ROOT" for tree in trees.values() if tree for name, _ in _assigned(tree)):
        named += [(work_folder / "x", parts) for tree in trees.values() if tree for parts in _upload_to(tree)]
    found = {place for path, parts in named if (place := _place(parts, path, work_folder, project))}
    return sorted(place for place in found if not found & {*place.parents})


def _parsed(path: Path) -> ast.Module | None:
    if not is_readable(path) or not WANTED.search(text := read_text(path)):
        return None
    return parse_text(text)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value):
                yield name, value
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.keyword(arg=str(name), value=value):
                yield name, value


def _settings(tree: ast.Module) -> Iterator[list[str]]:
    values = dict(_assigned(tree))
    for name, value in _assigned(tree):
        if SETTING.fullmatch(name):
            yield list(_parts(value, values))


def _upload_to(tree: ast.Module) -> Iterator[list[str]]:
    """The first folder, which is in the working directory."""
    for name, value in _assigned(tree):
        match value:
            case ast.Constant(value=str(text)) if name == "upload_to":
                yield [*PurePosixPath(text).parts[:1]]


def _parts(value: ast.expr, values: dict[str, ast.expr], depth: int = 0) -> Iterator[str]:
    """The names that a path is made of, without those of the project's own folder."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.BinOp(left=left, op=ast.Div() | ast.Add(), right=right):
            yield from _parts(left, values, depth)
            yield from _parts(right, values, depth)
        case ast.Name(id=name) if name in values and depth < DEPTH:
            yield from _parts(values[name], values, depth + 1)
        case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[_, default]):
            yield from _parts(default, values, depth)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in JOINING:
            for one in arguments:
                yield from _parts(one, values, depth)
        case ast.Call(func=ast.Attribute(attr=name, value=owner), args=arguments) if name in JOINING:
            for one in (owner, *arguments):
                yield from _parts(one, values, depth)


def _place(parts: list[str], module: Path, work_folder: Path, project: Path) -> Path | None:
    """Relative to the project. Where the path begins is the module's to say: the likely places are tried."""
    name = "/".join(part.strip("/") for part in parts if part.strip("/"))
    if not name or "%" in name or (parts and parts[0].startswith("/")):
        return None
    above = [place for place in module.parents if place.is_relative_to(project)]
    for base in (work_folder, project, *above, work_folder / "instance", project / "instance"):
        place = (base / name).resolve()
        if place.is_dir() and place != project and place.is_relative_to(project) and not any(place.rglob("*.py")):
            return place.relative_to(project)
    return None
