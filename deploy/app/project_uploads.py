"""Uploads of a Django project that are kept among its code.

MEDIA_ROOT is not set, which means the working directory, or it is a folder with code in it. In a container, only the
folders in it that the fields of files name can then be written to.

project_answer.py imports this, and calls it once Django has been set up.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def uploads_among_code(folder: Path, top: Path) -> tuple[list[str], list[str]]:
    """The folders that uploads go to, which end with "/", and what to say about them.

    `folder` is where the server runs, `top` the folder of the whole project.
    """
    places: dict[str, list[str]] = {}
    unknown: list[str] = []
    for field, root in _file_fields(folder, top):
        name = f"{field.model.__name__}.{field.name}"
        place = _place(field.upload_to, root)
        if place is None:
            unknown.append(name)
        else:
            places.setdefault(f"{place}/", []).append(name)
    return sorted(places), list(_notes(folder, places, unknown))


def _file_fields(folder: Path, top: Path) -> Iterator[tuple[Any, Path]]:
    """The fields of files whose storage is a folder with code in it, or the working directory; and that folder."""
    from django.apps import apps
    from django.core.files.storage import FileSystemStorage
    from django.db.models import FileField

    for model in apps.get_models():
        for field in model._meta.local_fields:
            if not isinstance(field, FileField):
                continue
            try:
                storage = field.storage
                root = Path(storage.location) if isinstance(storage, FileSystemStorage) else None
            except Exception:  # noqa: BLE001 - another storage, which cannot be set up without its variables
                continue
            if root and root.is_relative_to(top) and (root == folder or _has_code(root)):
                yield field, root


def _place(upload_to: Any, root: Path) -> Path | None:
    """The first folder of `upload_to` that is not there yet, or else its last one. None if it is only known when a file
    is uploaded: it is a function, blank, or begins with a date."""
    if not isinstance(upload_to, (str, os.PathLike)):
        return None
    place = root
    for part in Path(os.path.normpath(upload_to)).parts:
        if "%" in part:
            break
        place = Path(os.path.normpath(place / part))
        if not place.exists():
            break
    return None if place == root or not place.is_relative_to(root) or _has_code(place) else place


def _has_code(folder: Path) -> bool:
    return folder.is_dir() and any(folder.rglob("*.py"))


def _notes(folder: Path, places: dict[str, list[str]], unknown: list[str]) -> Iterator[str]:
    from django.conf import settings

    if settings.MEDIA_ROOT:
        root = f"MEDIA_ROOT={str(settings.MEDIA_ROOT)!r} has code in it"
    else:
        root = "MEDIA_ROOT is not set" if settings.MEDIA_URL.strip("/") else "MEDIA_ROOT and MEDIA_URL are not set"
    if places:
        listed = ", ".join(f"{os.path.relpath(place, folder)} ({', '.join(places[place])})" for place in sorted(places))
        yield f"{root}: uploads go to {listed} in the project, and no URL serves them"
    if unknown:
        yield (
            f"{root}, and where the uploads of {', '.join(unknown)} go is not known before one is there: containers"
            " refuse them, until MEDIA_ROOT is a folder of its own or WRITABLE_PATHS in .env names the folder"
        )
