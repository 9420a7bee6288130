"""`static_files` of `run_simple`: folders, single files and folders of packages in front of an application."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ropewalk.errors import ConfigError
from ropewalk.wsgi.static.app import StaticFiles

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication


def with_static_files(application: WSGIApplication, mounts: Mapping[str, str | tuple[str, str]]) -> WSGIApplication:
    """The application, with files in front of it. What there is no file for is the application's.

    `mounts` maps a path to a file, or a prefix of paths to a folder or to `(package, folder)`. Raises ConfigError for
    what does not exist.
    """
    folders: dict[str, str] = {}
    for prefix, place in mounts.items():
        path = _package_folder(*place) if isinstance(place, tuple) else place
        if os.path.isfile(path):
            application = _OneFile(application, prefix, path)
        elif os.path.isdir(path):
            folders[prefix] = path
        else:
            raise ConfigError("static_files", path, "is neither a folder nor a file")
    return StaticFiles(application, folders) if folders else application


class _OneFile:
    """One file at one path."""

    def __init__(self, application: WSGIApplication, path: str, file: str) -> None:
        folder, name = os.path.split(os.path.abspath(file))
        self._application = application
        self._path = path
        self._name = f"/{name}".encode(errors="surrogateescape").decode("latin-1")
        self._files = StaticFiles(self._without_file, {"/": folder})

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._path:
            return self._application(environ, start_response)
        environ["PATH_INFO"] = self._name
        return self._files(environ, start_response)

    def _without_file(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = self._path
        return self._application(environ, start_response)


def _package_folder(package: str, folder: str) -> str:
    """Raises ConfigError for a package that cannot be found, or has no folder of its own."""
    try:
        found = find_spec(package)
    except ImportError:  # of a package that it would be in
        found = None
    places = list((found and found.submodule_search_locations) or ())
    if not places:
        raise ConfigError("static_files", package, "is not a package that can be imported")
    return os.path.join(places[0], folder)
