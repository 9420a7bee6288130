"""The command with which a project's own Dockerfile builds its assets, in a stage of an image with Node."""

import re
from collections.abc import Iterator
from pathlib import Path

from kit.project.reading import is_readable, read_text

FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?:\S*/)?([\w.-]+)", re.IGNORECASE)
BUILDS = re.compile(r"(?<![\w-])build(?![\w-])|\bwebpack\b|\besbuild\b|\bgulp\b|\bgrunt\b|\brollup\b|\btailwindcss\b")
PREPARES = re.compile(r"\b(apt-get|apk|groupmod|useradd|adduser)\b")


def find(folder: Path) -> tuple[str, str]:
    """The command and where it is; two empty texts without one."""
    path = folder / "Dockerfile"
    if not is_readable(path):
        return "", ""
    is_node = False
    for line, text in _instructions(read_text(path)):
        if start := FROM.match(text):
            is_node = start[1].lower() == "node"
        command = re.sub(r"^RUN\s+(--\S+\s+)*", "", text, flags=re.IGNORECASE)
        if not is_node or command == text or command.startswith("["):
            continue
        if BUILDS.search(command) and not PREPARES.search(command):
            return " ".join(command.split()), f"Dockerfile:{line}"
    return "", ""


def _instructions(text: str) -> Iterator[tuple[int, str]]:
    """Each with the line that it begins in; lines that are continued are one."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if not parts:
            first = number
        parts.append(line.strip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            yield first, " ".join(parts).strip()
            parts = []
