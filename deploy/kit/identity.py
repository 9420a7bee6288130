"""Which compose project a project is: its containers, images and volumes are named after it.

compose would name everything after the folder of this checkout, so that one project would take over the data of
another that was tried there before.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

SAMPLE = "sample_project"


def of_project(project: Path, values: Mapping[str, str], root: Path) -> dict[str, str]:
    """COMPOSE_PROJECT_NAME and PROJECT_ID for the project in this folder: those in `values`, or from the folder.

    The sample project keeps the name that compose gives it by itself.
    """
    name = (
        {}
        if project == root / SAMPLE or values.get("COMPOSE_PROJECT_NAME")
        else {"COMPOSE_PROJECT_NAME": compose_name(project)}
    )
    return name | {"PROJECT_ID": values.get("PROJECT_ID") or project_id(project, root)}


def compose_name(project: Path) -> str:
    """The folder's name in the letters that compose allows: a-z, 0-9, "_" and "-", a letter or digit first."""
    return re.sub(r"[^a-z0-9_-]+", "-", project.name.lower()).strip("_-") or "project"


def project_id(project: Path, root: Path) -> str:
    """The folder's name and a digest of its path: projects in two folders of the same name are two."""
    if project == root / SAMPLE:
        return SAMPLE
    return f"{project.name}@{hashlib.sha256(bytes(project)).hexdigest()[:8]}"
