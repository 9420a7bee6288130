"""Opens the control socket and the admin listener of a master, and connects them to what they serve."""

from __future__ import annotations

import socket

from ropewalk._version import __version__, build
from ropewalk.config.settings import Settings
from ropewalk.control.commands import CONTROL, CommandHandler, open_abstract_socket
from ropewalk.control.inquiries import ControlHub
from ropewalk.control.server import ClientConnection, ControlListener
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.net.listeners.address import TcpAddress, parse_address
from ropewalk.net.listeners.open import Listeners, describe, open_listeners
from ropewalk.process.master.upgrade import successor_path

ADMIN = "admin:"
"""Starts the key of the admin listener among the listening sockets of a master; its address follows."""

OWNER_ONLY = 0o600

BACKLOG = 64


def open_control(settings: Settings, inherited: Listeners, *, is_successor: bool) -> tuple[ControlHub, Listeners]:
    """The control hub of a master, and the listening sockets that were opened for it, by their keys.

    Those that `inherited` has, from an old master, are removed from there and not opened again. `is_successor`: there
    is an old master, which still has the control socket's name. Raises ConfigError.
    """
    hub = ControlHub(version=__version__, build=build())
    listeners: Listeners = {}
    if settings.control_socket:
        listeners[CONTROL] = _open_control_socket(settings, hub, is_successor=is_successor)
    if settings.admin_bind:
        from ropewalk.control.admin_http import AdminHandler  # which imports the status page and the metrics' format

        admin = inherited.pop(ADMIN + settings.admin_bind, None)
        admin = admin or _listen("--admin-bind", settings.admin_bind, settings.admin_bind)
        address = parse_address(settings.admin_bind)
        names = {*settings.admin_hosts, address.host.lower() if isinstance(address, TcpAddress) else ""}
        for listener in admin:
            hub.add_shared(ControlListener(listener, lambda client: AdminHandler(hub, client, names)))
            get_logger().info("Admin at: %s", describe(listener))
        listeners[ADMIN + settings.admin_bind] = admin
    if settings.statsd_host:
        from ropewalk.metrics.statsd import Client, WorkersGauge

        client = Client(settings.statsd_host, settings.statsd_prefix, settings.dogstatsd_tags)
        hub.add(WorkersGauge(client, lambda: len(list(hub.master.workers())), get_logger().counts))
    return hub, listeners


def _open_control_socket(settings: Settings, hub: ControlHub, *, is_successor: bool) -> list[socket.socket]:
    def make_handler(client: ClientConnection) -> CommandHandler:
        return CommandHandler(hub, client)

    path = settings.control_socket
    if path != "auto":
        listeners = _listen("--control-socket", path, f"unix:{successor_path(path) if is_successor else path}")
        hub.add(ControlListener(listeners[0], make_handler))
        return listeners
    try:
        listener = open_abstract_socket()
    except OSError as error:  # a sandbox may forbid such sockets, and the server can do without
        get_logger().warning("No control socket: %s", error.strerror)
        return []
    hub.add(ControlListener(listener, make_handler, is_own_user_only=True))
    return [listener]


def _listen(setting: str, value: str, bind: str) -> list[socket.socket]:
    try:
        return open_listeners([bind], backlog=BACKLOG, unix_mode=OWNER_ONLY)
    except ConfigError as error:
        raise ConfigError(setting, value, error.allowed) from None
