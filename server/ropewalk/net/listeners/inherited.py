"""Listening sockets that this process was started with: `fd://N` and systemd's socket activation.

The protocol of the latter is sd_listen_fds(3): `LISTEN_FDS` sockets, starting at descriptor 3, for the process
`LISTEN_PID`, named by `LISTEN_FDNAMES`.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from typing import Final

from ropewalk.errors import ConfigError
from ropewalk.portable import AF_UNIX

__all__ = ["VARIABLES", "adopt_listener", "inherited_descriptors", "inherited_listeners", "inherited_names"]

VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
"""To be removed from the environment after reading: they are not for child processes."""

FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START."""

MAX_DESCRIPTORS: Final = 1024
"""Nobody passes so many; a larger number is a mistake, not a reason to examine a million descriptors."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6, AF_UNIX)


def adopt_listener(descriptor: int) -> socket.socket:
    """Take over an open descriptor, which must be a listening stream socket.

    Raises ValueError with one line that says what it is instead, and leaves the descriptor as it was.
    """
    try:
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        raise ValueError("no such descriptor is open in this process") from None
    if not is_socket:
        raise ValueError("the descriptor is not a socket")
    listener = socket.socket(fileno=descriptor)
    try:
        _check_listener(listener)
    except BaseException:
        listener.detach()  # not ours to close
        raise
    listener.setblocking(False)
    listener.set_inheritable(False)
    return listener


def _check_listener(listener: socket.socket) -> None:
    if listener.family not in _FAMILIES or listener.type != socket.SOCK_STREAM:
        raise ValueError("the descriptor is not a TCP or Unix stream socket")
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError("the descriptor is a socket that is not listening")


def inherited_descriptors(environ: Mapping[str, str], pid: int) -> range:
    """The descriptors that systemd passed to the process `pid`, according to the environment. Pure.

    An empty range when there are none or they are for another process. Raises ConfigError for an invalid number.
    """
    number = environ.get("LISTEN_FDS", "")
    if not number or environ.get("LISTEN_PID", "") != str(pid):
        return range(0)
    if not (number.isascii() and number.isdigit() and len(number) <= 4 and int(number) <= MAX_DESCRIPTORS):
        raise ConfigError("LISTEN_FDS", number, f"must be an integer from 0 to {MAX_DESCRIPTORS}")
    return range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(number))


def inherited_names(environ: Mapping[str, str], pid: int) -> dict[int, str]:
    """The names of the descriptors in their socket units (`FileDescriptorName=`). Pure; for messages only."""
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return {
        fd: name for fd, name in zip(inherited_descriptors(environ, pid), names, strict=False) if name.isprintable()
    }


def inherited_listeners(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd passed to this process, in its order; empty when there are none.

    Does not change the environment; see `VARIABLES`. Raises ConfigError when one of them is not a listening stream
    socket; then all of them stay open.
    """
    listeners: list[socket.socket] = []
    for descriptor in inherited_descriptors(environ, os.getpid()):
        try:
            listeners.append(adopt_listener(descriptor))
        except ValueError as error:
            for listener in listeners:
                listener.detach()
            raise ConfigError("LISTEN_FDS", environ["LISTEN_FDS"], f"descriptor {descriptor}: {error}") from None
    return listeners
