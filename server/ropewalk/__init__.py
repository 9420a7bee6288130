"""Ropewalk: a threaded WSGI server in pure Python.

ropewalk.serve(application, bind="127.0.0.1:8000")  # until SIGTERM or Ctrl-C

with ropewalk.Server(application, bind="127.0.0.1:0") as server:  # in threads of this process
    print(server.address)

ropewalk.run_simple("127.0.0.1", 5000, application, use_reloader=True)  # as werkzeug.run_simple
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ropewalk._version import __version__

__all__ = ["Server", "__version__", "run_simple", "serve"]

if TYPE_CHECKING:
    from ropewalk.dev.run_simple import run_simple
    from ropewalk.embedded import Server, serve


def __getattr__(name: str) -> Any:
    """Import the server on first use: `ropewalk.__version__` alone should cost nothing."""
    if name in ("Server", "serve"):
        from ropewalk import embedded

        return getattr(embedded, name)
    if name == "run_simple":
        from ropewalk.dev.run_simple import run_simple

        return run_simple
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
