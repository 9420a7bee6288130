"""What an image gets of a project, by the rules of its build (deploy/app/project_files.py): errors become KitErrors."""

from pathlib import Path

import copy_project
import project_files
from dockerignore import PatternError
from kit.errors import KitError


def select(project: Path, include: str, exclude: str = "") -> project_files.Selection:
    """By IMAGE_INCLUDE and IMAGE_EXCLUDE. Raises KitError."""
    try:
        return project_files.Selection(project, include, exclude)
    except PatternError as error:
        raise KitError(str(error)) from None


def copy(selection: project_files.Selection, target: Path) -> None:
    """Copies what the image gets. Raises KitError."""
    try:
        copy_project.copy(selection, target)
    except OSError as error:
        raise _unreadable(error) from None


def left_out(selection: project_files.Selection) -> list[str]:
    """A line for each rule that leaves something out. Raises KitError."""
    try:
        return project_files.report(selection, selection.entries())
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> KitError:
    return KitError(f"{error.filename}: cannot be read for the image: {error.strerror}")
