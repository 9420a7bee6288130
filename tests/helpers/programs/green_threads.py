"""What gevent's and eventlet's monkey patches do to the standard library, as far as it matters to the server.

Replaces functions by some whose module is that library's, removes `select.epoll`, and gives the main thread another
identity. The library itself is not installed: `install` makes a module of its name that has the call.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCES = {
    "gevent": ("gevent/__init__.py", "gevent/monkey.py", "patch_all"),
    "eventlet": ("eventlet/__init__.py", "eventlet/__init__.py", "monkey_patch"),
}

CALLS = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}


def install(library: str, directory: Path) -> None:
    """Put a package of the library's name into the directory."""
    package, module, name = SOURCES[library]
    (directory / library).mkdir()
    (directory / package).touch()
    (directory / module).write_text(
        f"def {name}():\n    from tests.helpers.programs.green_threads import patch\n    patch({library!r})\n"
    )


def patch(library: str) -> None:
    """Patch in the name of the library."""
    real_ident = threading.get_ident

    def get_ident() -> int:
        return real_ident() + 1

    threading._active[get_ident()] = threading._active.pop(real_ident())  # type: ignore[attr-defined]  # private
    threading.main_thread()._ident = get_ident()  # type: ignore[attr-defined]  # private
    threading.get_ident = _as_if_of(library, get_ident)
    for module, name in ((time, "sleep"), (socket, "socketpair"), (select, "select"), (threading, "Lock")):
        setattr(module, name, _as_if_of(library, getattr(module, name)))
    del select.epoll, select.poll


def _as_if_of(library: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def replacement(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    replacement.__module__ = f"{library}.patched"
    return replacement
