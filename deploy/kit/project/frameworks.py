"""The framework of a project that lists no dependencies, by what its modules import.

`django-admin startproject` writes no requirements.txt, and many a small application is a single module. Only imports
count that happen when a module is imported, and no module of the project's own.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kit.project.modules import statements
from kit.project.reading import is_readable, modules, parse_text, read_text, relative

FRAMEWORKS = ("bottle", "django", "falcon", "flask", "pyramid")
"""Modules that have the names of their distributions."""

DEPTH = 3
"""Modules are looked for in so many folders within each other."""

_IMPORT = re.compile(rf"\b(?:import|from)\s+(?:{'|'.join(FRAMEWORKS)})\b")
"""In the text of every module that imports one; to parse all those of a large project takes many seconds."""


def find(folder: Path) -> dict[str, str]:
    """Each framework that is imported, sorted, with the first place of it."""
    found: dict[str, str] = {}
    own = set[str]()
    for path in modules(folder, DEPTH):
        own.add(path.parent.name if path.name == "__init__.py" else path.stem)
        text = read_text(path) if is_readable(path) else ""
        tree = parse_text(text) if _IMPORT.search(text) else None
        for name, line in _imports(tree) if tree else ():
            found.setdefault(name, f"{relative(path, folder)}:{line}")
    return {name: found[name] for name in sorted(found) if name in FRAMEWORKS and name not in own}


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The packages that the module's own statements import."""
    for node in statements(tree.body):
        match node:
            case ast.Import(names=names):
                yield from ((one.name.partition(".")[0], node.lineno) for one in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0], node.lineno


def note(found: dict[str, str]) -> str:
    """What to say about them, with what to do."""
    listed = ", ".join(f"{name} ({place})" for name, place in found.items())
    return (
        f"no file lists the dependencies, but the code imports {listed}: installed in the current version. List and pin"
        f" {'it' if len(found) == 1 else 'them'} in requirements.txt"
    )
