"""What a master opens before it serves: the PID file and the listening sockets, some of them an old master's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from socket import socket
from typing import NamedTuple

from ropewalk import forked
from ropewalk.cli.bind import listen
from ropewalk.cli.control_setup import open_control
from ropewalk.config.load import Loaded
from ropewalk.config.settings import Settings
from ropewalk.control.inquiries import ControlHub
from ropewalk.net.listeners.open import Listeners, adopt_listeners, close_listeners, disown_listeners
from ropewalk.net.listeners.unix import UnixListener
from ropewalk.process.master.upgrade import Upgrade, successor_path
from ropewalk.process.system.pidfile import PidFile
from ropewalk.process.system.privileges import Identity


class Opened(NamedTuple):
    """What is open while a master runs."""

    pid_file: PidFile | None
    listeners: list[socket]
    """Those of the application."""
    sockets: Listeners
    """All listening sockets, by their purpose."""
    control: ControlHub


def open_everything(loaded: Loaded, identity: Identity, upgrade: Upgrade, on_exit: ExitStack) -> Opened:
    """Open what the settings say, and have `on_exit` close it, in this process and in its forked children.

    Raises ConfigError.
    """
    settings, predecessor = loaded.settings, upgrade.predecessor
    inherited = adopt_listeners(predecessor.listeners) if predecessor is not None else {}
    pid_file = _open_pid_file(settings, identity, on_exit, is_successor=predecessor is not None)
    opened = listen(loaded, inherited)
    listeners = _flattened(opened)
    _close_on_exit(listeners, on_exit)
    for listener in listeners:
        if isinstance(listener, UnixListener):
            identity.chown_socket(listener.path)
    control, control_listeners = open_control(settings, inherited, is_successor=predecessor is not None)
    _close_on_exit(_flattened(control_listeners), on_exit)
    on_exit.callback(lambda: disown_listeners(listeners) if upgrade.is_shared else None)
    for unused in inherited.values():
        disown_listeners(unused)
        close_listeners(unused)
    return Opened(pid_file, listeners, {**opened, **control_listeners}, control)


def _open_pid_file(settings: Settings, identity: Identity, on_exit: ExitStack, *, is_successor: bool) -> PidFile | None:
    if not settings.pid:
        return None
    pid_file = PidFile(successor_path(settings.pid) if is_successor else settings.pid, identity.trusted_owners)
    on_exit.callback(pid_file.remove)
    _give_up_in_children(on_exit, pid_file.close_in_child)
    return pid_file


def _close_on_exit(listeners: list[socket], on_exit: ExitStack) -> None:
    on_exit.callback(close_listeners, listeners)
    _give_up_in_children(on_exit, partial(close_listeners, listeners))


def _give_up_in_children(on_exit: ExitStack, close: Callable[[], None]) -> None:
    """Have `close` called in each process that a hook or a preloaded application forks in this one."""
    forked.on_fork(close)
    on_exit.callback(forked.cancel, close)


def _flattened(listeners: Listeners) -> list[socket]:
    return [listener for each in listeners.values() for listener in each]
