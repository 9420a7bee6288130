"""The command on a terminal: the logs in the format for a person, and what is served, in a few lines.

Standard output and standard error are considered each on its own: what goes into a pipe or a file is as under a
supervisor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from socket import AF_INET, AF_INET6, socket

from ropewalk._version import __version__
from ropewalk.cli.stdio import ERROR, Terminals
from ropewalk.config.load import Loaded
from ropewalk.config.settings import Settings
from ropewalk.logs.terminal import make_paint
from ropewalk.net.listeners.open import describe

_ANY_ADDRESS = ("0.0.0.0", "::")


def with_defaults(loaded: Loaded, terminals: Terminals) -> Loaded:
    """The settings with the defaults for a terminal; what is set anywhere stays as it is."""
    settings, changes = loaded.settings, {}
    if settings.print_config:
        return loaded  # it may be meant for a configuration file
    if terminals.error and settings.error_log == "-" and loaded.is_default("error_log_format"):
        changes["error_log_format"] = "terminal"
    if terminals.output and (loaded.is_default("access_log") or settings.access_log == "-"):
        changes["access_log"] = "-"
        if loaded.is_default("access_log_format"):
            changes["access_log_format"] = "terminal"
    return loaded._replace(settings=settings.changed(**changes)) if changes else loaded


def start_lines(settings: Settings, listeners: Iterable[socket]) -> str:
    """What is served where and how, for the person who has started it."""
    paint = make_paint(ERROR, os.environ)
    python = f"Python {sys.version.partition(' ')[0]}"
    urls = dict.fromkeys(_url(listener, settings) for listener in listeners)  # 0.0.0.0 and :: are one
    rows = [*zip(("URL", *[""] * (len(urls) - 1)), (paint("bold", url) for url in urls), strict=True)]
    rows += [("Application", settings.wsgi_app), ("Processes", _processes(settings)), ("Mode", mode(settings))]
    return "\n".join(
        (
            "",
            f"  {paint('bold', f'Ropewalk {__version__}')} {paint('gray', python)}",
            "",
            *(f"  {name:11}  {value}" for name, value in rows),
            "",
            "  " + paint("gray", "Ctrl-C stops it."),
            "",
        )
    )


def mode(settings: Settings) -> str:
    """How the server reacts to changed code and to errors."""
    code = "changed code is reloaded" if settings.reload else "code is not reloaded"
    errors = "an error shows its page (--debug)" if settings.debug else "clients see no details of errors"
    return f"{'development' if settings.reload or settings.debug else 'production'}: {code}, and {errors}"


def _processes(settings: Settings) -> str:
    return f"{settings.workers}, with up to {settings.threads} threads{' each' if settings.workers > 1 else ''}"


def _url(listener: socket, settings: Settings) -> str:
    scheme = "https" if settings.certfile else "http"
    if listener.family in (AF_INET, AF_INET6):
        host, port = listener.getsockname()[:2]
        if host in _ANY_ADDRESS:
            return f"{scheme}://localhost:{port} and every other address of this machine"
    return describe(listener, scheme=scheme)
