"""FLASK_APP, as Flask's own command finds it: in the environment, in .flaskenv or in .env."""

import re
from collections.abc import Mapping
from pathlib import Path

from kit.project.reading import read_text

VARIABLE = "FLASK_APP"


def find(folder: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """The value, and what says so; both are "" if nothing does."""
    if value := environment.get(VARIABLE):
        return value, f"the variable {VARIABLE}"
    for name in (".flaskenv", ".env"):
        path = folder / name
        if path.is_file():
            for number, line in enumerate(read_text(path).splitlines(), 1):
                if found := re.fullmatch(rf"(?:export\s+)?{VARIABLE}\s*=\s*(['\"]?)(.*?)\1\s*", line.strip()):
                    return found[2], f"{name}:{number}"
    return "", ""
