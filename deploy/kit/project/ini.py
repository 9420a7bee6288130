"""The .ini files of a Pyramid project (PasteDeploy): which one names the application."""

import configparser
from pathlib import Path

from kit.project.reading import is_readable, read_text

FILES = ("production.ini", "development.ini")
"""The first that exists is used."""

SECTIONS = ("app:main", "pipeline:main", "composite:main")


def read(path: Path) -> configparser.RawConfigParser | None:
    """None if there is no such file, or if it cannot be read."""
    if not path.is_file() or not is_readable(path):
        return None
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_text(path))
    except configparser.Error:
        return None
    return parser


def find(folder: Path) -> str:
    """The name of the file with the application; "" if there is none."""
    for name in FILES:
        parser = read(folder / name)
        if parser and any(parser.has_section(section) for section in SECTIONS):
            return name
    return ""
