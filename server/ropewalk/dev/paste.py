"""For `pserve`, and whatever else reads PasteDeploy's .ini files: `use = egg:ropewalk` in the section `[server:main]`.

The other lines of the section are settings of an embedded server, `host` and `port`, or `listen` as waitress has it.
"""

from __future__ import annotations

import logging
import re
import signal
import sys
from collections.abc import Callable, Mapping
from configparser import Error, RawConfigParser
from typing import TYPE_CHECKING, Any

from ropewalk.dev.terminal_logs import OF_ERROR_LOG, logs_on_terminal
from ropewalk.embedded import Server, serve_until_signal
from ropewalk.errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", "8080"


def server_factory(global_conf: Mapping[str, str], **section: str) -> Callable[[WSGIApplication], None]:
    """What serves an application with the settings of a section until SIGTERM or Ctrl-C. It listens from now on.

    Raises SystemExit with one line for what is wrong with the section.
    """
    file = global_conf.get("__file__", "")
    try:
        settings = _settings(section)
        if not settings.keys() & OF_ERROR_LOG and _says_how_to_log(file):
            settings["error_log"] = logging.getLogger("ropewalk")
        settings |= logs_on_terminal(settings)
        server = Server(**settings)
    except (ConfigError, TypeError) as error:
        raise SystemExit(f"{file}: in the server's section: {error}") from None

    def run(application: WSGIApplication) -> None:
        server.application = application
        number = serve_until_signal(server)
        if number == signal.SIGTERM and _is_reloaded():
            # The signal's own effect. Else the reloader's thread takes a second to end, and then it kills the process.
            signal.raise_signal(number)

    return run


def server_runner(application: WSGIApplication, global_conf: Mapping[str, str], **section: str) -> None:
    """`server_factory` for what knows only this protocol."""
    server_factory(global_conf, **section)(application)


def _settings(section: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a server for the lines of its section. Raises TypeError for lines that contradict each other."""
    settings: dict[str, Any] = {name.replace("-", "_"): value for name, value in section.items()}
    given = [name for name in ("bind", "listen", "host", "port") if name in settings]
    if len(given) > 1 and given != ["host", "port"]:
        raise TypeError(f"{' and '.join(given)}: one of bind, listen, or host and port")
    listen, host, port = (settings.pop(name, None) for name in ("listen", "host", "port"))
    if listen is not None:
        settings["bind"] = [re.sub(r"^\*:", "0.0.0.0:", address) for address in listen.split()]
    elif "bind" not in settings:
        host = host or DEFAULT_HOST
        settings["bind"] = f"[{host}]:{port or DEFAULT_PORT}" if ":" in host else f"{host}:{port or DEFAULT_PORT}"
    return settings


def _is_reloaded() -> bool:
    """Whether this is a process of `pserve --reload`."""
    hupper = sys.modules.get("hupper")
    return hupper is not None and hupper.is_active()


def _says_how_to_log(file: str) -> bool:
    """Whether the file configures `logging`. Others leave it as it is, where no more than warnings are shown."""
    parser = RawConfigParser(strict=False)
    try:
        parser.read(file)
    except Error:
        return False  # of another syntax, which its loader knows
    return parser.has_section("loggers")
