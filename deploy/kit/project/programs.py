"""A program that serves itself: a command of pyproject.toml whose module has the application and reads options first.

The server loads the application without that command, so what its options set is missing.
"""

import ast
from pathlib import Path

from kit.project.reading import parse_module, read_toml, relative


def note(folder: Path, module: str, path: Path) -> str:
    """`path`: the module that has the application. Empty if it is no such program's."""
    file = folder / "pyproject.toml"
    scripts = read_toml(file).get("project", {}).get("scripts", {}) if file.is_file() else {}
    command = next((name for name, target in scripts.items() if str(target).partition(":")[0].strip() == module), "")
    tree = parse_module(path) if command else None
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="parse_args")):
                return (
                    f"the command {command} sets what its options say before it serves"
                    f" ({relative(path, folder)}:{node.lineno}), and here it is not run: if the application needs that,"
                    " WSGI_APP has to name a module of your own that does it"
                )
    return ""
