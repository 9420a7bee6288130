"""What setup.cfg and setup.py list as literals, without a build."""

import ast
import configparser
from pathlib import Path

from kit.errors import KitError
from kit.project.reading import parse_module, read_text


def configuration(base: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    if (base / "setup.cfg").is_file():
        try:
            parser.read_string(read_text(base / "setup.cfg"))
        except configparser.Error as error:
            raise KitError(f"setup.cfg: {str(error).splitlines()[0]}") from None
    return parser


def literal_requirements(base: Path) -> list[str]:
    listed = configuration(base).get("options", "install_requires", fallback="")
    if listed and not listed.strip().startswith("file:"):
        return [line.strip() for line in listed.splitlines() if line.strip() and not line.strip().startswith("#")]
    tree = parse_module(base / "setup.py")
    if tree is None:
        return []
    lists = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            value = lists.get(node.value.id) if isinstance(node.value, ast.Name) else node.value
            try:
                return [str(line) for line in ast.literal_eval(value)] if value is not None else []
            except ValueError:
                return []
    return []
