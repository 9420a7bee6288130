"""PROJECT_ID: which project a data volume and an image belong to, on both sides of a container's wall.

`shop@1a2b3c4d` is the project's folder and a digest of its path, so that two folders of the same name are two projects.
Plain `docker compose` without a .env gives the name or path of the folder alone, and so did earlier versions.
"""

import re
from pathlib import PurePath

PARTS = re.compile(r"(?P<name>.*?)(?:@(?P<digest>[0-9a-f]{8}))?", re.DOTALL)


def of(given: str) -> str:
    """Without the folders above."""
    return PurePath(given).name


def is_same(one: str, other: str) -> bool:
    """Whether both may be the same project: nothing is known of one that has no digest, beside its name."""
    first, second = PARTS.fullmatch(of(one)), PARTS.fullmatch(of(other))
    if not first or not second or first["name"] != second["name"]:
        return False
    return first["digest"] == second["digest"] or not (first["digest"] and second["digest"])


def has_digest(given: str) -> bool:
    found = PARTS.fullmatch(of(given))
    return found is not None and found["digest"] is not None
