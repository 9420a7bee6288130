"""Where a project takes files from its visitors: fields of Django's models and forms, of WTForms, `request.files`."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from kit.project.reading import is_readable, parse_text, read_text

FIELDS = ("FileField", "ImageField", "MultipleFileField")
OF_REQUEST = ("FILES", "files")
WANTED = re.compile("|".join((*FIELDS, *OF_REQUEST)))


def find(files: Iterable[Path]) -> tuple[Path, int] | None:
    """File and line of the first."""
    for path in sorted(files):
        if not is_readable(path) or not WANTED.search(text := read_text(path)) or not (tree := parse_text(text)):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in FIELDS:
                    return path, node.lineno
                case ast.Attribute(value=ast.Name(id="request") | ast.Attribute(attr="request"), attr=name) if (
                    name in OF_REQUEST
                ):
                    return path, node.lineno
    return None
