"""The desks of the master, put together: the control socket and the admin listener, and what is told there."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ropewalk._version import __version__
from ropewalk.config.settings import Settings
from ropewalk.control.commands import CONTROL, CommandHandler, open_abstract, status_with
from ropewalk.control.inquiries import ControlHub
from ropewalk.control.server import ClientConnection, ControlListener
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.net.listeners.open import Listeners, describe, open_listeners
from ropewalk.process.master.upgrade import second_name

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

ADMIN = "admin:"
"""What sockets are for; the address follows."""

OWNER_ONLY = 0o600

BACKLOG = 64


def open_control(settings: Settings, earlier: Listeners, *, is_second: bool) -> tuple[ControlHub, Listeners]:
    """The office of a master, and the listening sockets that it made for it, by what they are for.

    What `earlier` has, an old master's, is not opened again. `is_second`: there is an old master that has the control
    socket's name. Raises ConfigError.
    """
    office = ControlHub(version=__version__)
    listeners: Listeners = {}
    if settings.control_socket:
        listeners[CONTROL] = _open_control(settings, office, is_second=is_second)
    if settings.admin_bind:
        from ropewalk.control.admin_http import AdminHandler  # with its page and the format of its metrics

        admin = earlier.pop(ADMIN + settings.admin_bind, None)
        admin = admin or _listen("--admin-bind", settings.admin_bind, settings.admin_bind)
        for listener in admin:
            office.open_shared(ControlListener(listener, lambda peer: AdminHandler(_Source(office), peer)))
            get_logger().info("Admin at: %s", describe(listener))
        listeners[ADMIN + settings.admin_bind] = admin
    if settings.statsd_host:
        from ropewalk.metrics.statsd import Client, WorkersGauge

        client = Client(settings.statsd_host, settings.statsd_prefix, settings.dogstatsd_tags)
        office.open(WorkersGauge(client, lambda: len(list(office.chief.workers())), get_logger().counts))
    return office, listeners


def _open_control(settings: Settings, office: ControlHub, *, is_second: bool) -> list[socket.socket]:
    def commander(peer: ClientConnection) -> CommandHandler:
        return CommandHandler(office, peer)

    path = settings.control_socket
    if path != "auto":
        listeners = _listen("--control-socket", path, f"unix:{second_name(path) if is_second else path}")
        office.open(ControlListener(listeners[0], commander))
        return listeners
    try:
        listener = open_abstract()
    except OSError as error:  # a sandbox may allow no such socket, and serving does not depend on it
        get_logger().warning("no control socket: %s", error.strerror)
        return []
    office.open(ControlListener(listener, commander, is_for_own_user=True))
    return [listener]


def _listen(setting: str, value: str, bind: str) -> list[socket.socket]:
    try:
        return open_listeners([bind], backlog=BACKLOG, unix_mode=OWNER_ONLY)
    except ConfigError as error:
        raise ConfigError(setting, value, error.allowed) from None


class _Source:
    """How the server is, for the admin listener."""

    def __init__(self, office: ControlHub) -> None:
        self._office = office

    def is_ready(self) -> bool:
        return bool(self._office.chief.status()["ready"])

    def status(self, done: Callable[[ServerStatus], None]) -> None:
        self._office.inquire("status", lambda answers: done(status_with(self._office, answers)))
