"""The kernel's events about files, through the package watchfiles, where it is installed and events can come."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import threading
from collections.abc import Iterable
from typing import Any

DEBOUNCE = 200  # milliseconds in which changes are gathered, if more and more come
STEP = 20  # milliseconds between two looks of watchfiles at what has come; two without a change end a group

WITHOUT_EVENTS = frozenset(
    {
        *("9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs", "drvfs", "fakeowner", "osxfs", "grpcfuse"),
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs"),
    }
)
"""File systems whose files another machine may change, which this machine's kernel does not notice."""


class NoEventsError(Exception):
    """Why there are no events, in one line."""


class Events:
    """Reports changes in some folders. One thread."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Raises NoEventsError."""
        self.folders = frozenset(paths)
        try:
            self._notify = _notify_class()(
                sorted(self.folders),
                False,  # debug
                False,  # force_polling
                1000,  # poll_delay_ms
                False,  # recursive
                True,  # ignore_permission_denied
            )
        except Exception as error:  # noqa: BLE001 - OSError, and watchfiles' own, which derives from RuntimeError
            raise NoEventsError(" ".join(str(error).split())) from None

    def wait(self, seconds: float, stop: threading.Event) -> set[str]:
        """The paths that changed; empty after that time, or when asked to stop.

        Raises KeyboardInterrupt in the main thread if the handler of a signal has raised: watchfiles swallows what.
        """
        found = self._notify.watch(DEBOUNCE, STEP, max(1, int(seconds * 1000)), stop)
        if found == "signal":
            raise KeyboardInterrupt
        if isinstance(found, str):
            return set()
        return {path for _, path in found}

    def close(self) -> None:
        self._notify.close()


def is_available() -> bool:
    """Whether watchfiles is installed."""
    return importlib.util.find_spec("watchfiles") is not None


def _notify_class() -> Any:
    """`RustNotify` alone: the package itself imports asyncio and anyio, which would take longer than a restart."""
    package = importlib.util.find_spec("watchfiles")
    if package is None:
        raise NoEventsError("watchfiles is not installed")
    name = "watchfiles._rust_notify"
    spec = importlib.machinery.PathFinder.find_spec(name, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise NoEventsError("watchfiles is of another version than this server knows")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RustNotify


def has_events(folder: str, mounts: list[tuple[str, str]]) -> bool:
    """Whether the file system of the folder, by `mounts`, is one whose changes this kernel sees."""
    for place, kind in mounts:
        if folder == place or folder.startswith(place.rstrip("/") + "/"):
            return kind not in WITHOUT_EVENTS and not (kind.startswith("fuse") and kind != "fuse.overlayfs")
    return True


def mounts() -> list[tuple[str, str]]:
    """Where file systems are mounted, and their kinds: the innermost first, and of one place the last one."""
    found = []
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, rest = line.partition(" - ")
                place = fields.split()[4].encode().decode("unicode_escape") if "\\" in fields else fields.split()[4]
                found.append((os.path.normpath(place), rest.split()[0]))
    except (OSError, IndexError, UnicodeError):
        return []
    found.reverse()
    return sorted(found, key=lambda each: -len(each[0]))
