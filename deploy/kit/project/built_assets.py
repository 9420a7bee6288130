"""The stylesheets and scripts that a project's templates name, that no file of it is, and that npm's build makes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kit.project.node import NodeBuild
from kit.project.reading import is_readable, read_text, relative

TEMPLATES = (".html", ".htm", ".jinja", ".jinja2", ".j2")
MADE = (".css", ".js", ".mjs")
NAMED = re.compile(
    r"""(?:\{%-?\s*static\s+|\bstatic\(\s*|\bfilename\s*=\s*)["']/?([\w@./-]+\.(?:css|m?js))["']""",
)
"""Django's tag, Jinja's function for it, and url_for of Flask."""

SERVED = frozenset(("static", "staticfiles", "public", "dist", "media"))
"""Folders of which some file may be the one that is named; a stylesheet of that name elsewhere is its source."""

NOT_THE_PROJECTS = frozenset(("node_modules", "bower_components", "site-packages", "venv", "env", "__pycache__"))
CONFIGURATION = re.compile(r"(gulpfile|gruntfile|webpack.*|rollup.*|.*\bconfig)\.[cm]?[jt]s", re.IGNORECASE)
SCRIPT = re.compile(r"[\w@./-]+\.[cm]?[jt]s\b")
"""In package.json: one that its scripts run."""

SOURCE = r"\.(?:\w+\.)*(?:css|s[ac]ss|less|styl|[cm]?[jt]sx?)\b"
"""How the name of a file goes on that is made, or that it is made of."""

MOST = 20_000
"""So many files are looked at."""


def missing(build: NodeBuild, folder: Path) -> str:
    """The first such file of this build, and the template that names it, with its line; "" if there is none."""
    files = list(_files(folder))
    made = _said(folder / build.folder)
    names = {
        path.name for path in files if path.suffix in MADE and not SERVED.isdisjoint(path.relative_to(folder).parts)
    }
    for template in files:
        if template.suffix not in TEMPLATES or not is_readable(template):
            continue
        text = read_text(template)
        for found in NAMED.finditer(text):
            name = found[1].rpartition("/")[2]
            if name not in names and re.search(rf"\b{re.escape(name.partition('.')[0])}{SOURCE}", made):
                line = text.count("\n", 0, found.start()) + 1
                return f"{found[1]} ({relative(template, folder)}:{line})"
    return ""


def _said(place: Path) -> str:
    """What says which files the build writes: package.json, and the configuration and scripts of its tools."""
    manifest = read_text(place / "package.json")
    found = {path for path in place.iterdir() if CONFIGURATION.fullmatch(path.name)}
    found |= {place / name for name in SCRIPT.findall(manifest)}
    texts = [read_text(path) for path in sorted(found) if path.is_file() and is_readable(path)]
    return "\n".join((manifest, *texts))


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in NOT_THE_PROJECTS and not name.startswith("."))
        for name in sorted(names):
            count += 1
            if count > MOST:
                return
            yield Path(place, name)
