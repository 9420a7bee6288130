"""A secret key that is a text in the code of a project without Django's settings: `app.secret_key = "dev"`.

Who has the code can forge the sessions of the site. Django's settings: kit.project.django.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from kit.project.environment_names import secret_key_values
from kit.project.reading import is_readable, parse_text, read_text

WANTED = re.compile(r"secret_key", re.IGNORECASE)


def find(files: Iterable[Path]) -> tuple[Path, int] | None:
    """File and line of the first."""
    for path in sorted(files):
        if not is_readable(path) or not WANTED.search(text := read_text(path)) or not (tree := parse_text(text)):
            continue
        for node in ast.walk(tree):
            for value in secret_key_values(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str | bytes) and value.value:
                    return path, value.lineno
    return None
