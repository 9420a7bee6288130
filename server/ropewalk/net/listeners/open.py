"""Listening sockets: opens the addresses of `--bind`, takes sockets over from another process, closes them.

Runs in the one thread that starts and stops the server. Knows nothing about what connections carry, and sets no options
on them.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ropewalk.errors import ConfigError
from ropewalk.net.listeners.address import Address, InheritedAddress, TcpAddress, UnixAddress, parse_address
from ropewalk.net.listeners.inherited import adopt_listener, inherited_listeners
from ropewalk.net.listeners.tcp import TcpListener
from ropewalk.net.listeners.unix import DEFAULT_MODE, UnixListener, open_unix_listener
from ropewalk.portable import AF_UNIX

__all__ = [
    "Listeners",
    "adopt_listeners",
    "close_listeners",
    "describe",
    "disown_listeners",
    "inherited_listeners",
    "open_by_bind",
    "open_listeners",
    "refuse_new_connections",
]

SYSTEMD: Final = "systemd"
"""The bind of listeners that systemd passed, in place of an address of `--bind`."""

PORT_TRIES: Final = 16
"""How many free ports are tried when port 0 has to be the same for IPv4 and IPv6."""

_REASONS: Final = {
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no network of that address family",
    errno.EEXIST: "a file that is not a socket exists at this path",
    errno.ENOENT: "its directory does not exist",
    errno.ENOTDIR: "its directory does not exist",
}

_NO_SUCH_NETWORK: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)

_Target = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


Listeners = dict[str, list[socket.socket]]
"""Listening sockets by the value of `--bind` for which they were opened."""


def open_listeners(binds: Sequence[str], *, backlog: int, unix_mode: int = DEFAULT_MODE) -> list[socket.socket]:
    """Listen on every address of `binds`, in their order; one address may result in an IPv4 and an IPv6 socket.

    The sockets are non-blocking, and not inherited by programs that are executed (forked workers have them). Listens on
    all addresses or on none: raises ConfigError that names the first one that fails.
    """
    opened = open_by_bind(binds, {}, backlog=backlog, unix_mode=unix_mode)
    return [listener for listeners in opened.values() for listener in listeners]


def open_by_bind(binds: Sequence[str], earlier: Listeners, *, backlog: int, unix_mode: int = DEFAULT_MODE) -> Listeners:
    """As `open_listeners`, by bind; those in `earlier` are removed from it and not opened again."""
    addresses = [_parse(bind) for bind in binds]
    opened: Listeners = {}
    try:
        for bind, address in zip(binds, addresses, strict=True):
            with _naming(bind):
                if isinstance(address, InheritedAddress) and addresses.count(address) > 1:
                    raise ValueError("the descriptor is given twice")
                opened[bind] = earlier.pop(bind, []) or _open(address, addresses, backlog, unix_mode)
    except BaseException:
        for listeners in opened.values():
            close_listeners(listeners)
        raise
    return opened


def refuse_new_connections(listeners: Iterable[socket.socket]) -> bool:
    """Accept no new attempts to connect to sockets that this process made; what is in their backlog can be accepted.

    Clients are refused once all processes have closed the socket. Returns whether connections that were begun before
    may still arrive.
    """
    is_tcp = False
    for listener in listeners:
        if isinstance(listener, UnixListener):
            listener.unlink()
        elif isinstance(listener, TcpListener):
            is_tcp = listener.refuse_new_connections() or is_tcp
    return is_tcp


def adopt_listeners(descriptors: Mapping[str, Sequence[int]]) -> Listeners:
    """Take over the listening sockets that another master passed, as descriptors by bind.

    The last of the two masters has to remove the file of a Unix socket. Raises ConfigError.
    """
    taken: Listeners = {}
    for bind, numbers in descriptors.items():
        with _naming(bind):
            listeners = [adopt_listener(number) for number in numbers]
            try:
                if bind.startswith("unix:"):
                    listeners = [UnixListener.adopt(listener) for listener in listeners]
                elif not bind.startswith("fd:") and bind != SYSTEMD:
                    listeners = [TcpListener(fileno=listener.detach()) for listener in listeners]
            except FileNotFoundError:  # its file was removed: nobody can connect, so it is opened again
                close_listeners(listeners)
                continue
            taken[bind] = listeners
    return taken


def disown_listeners(listeners: Iterable[socket.socket]) -> None:
    """Leave the files of Unix sockets to another master, which listens there."""
    for listener in listeners:
        if isinstance(listener, UnixListener):
            listener.disown()


def close_listeners(listeners: Iterable[socket.socket]) -> None:
    """Close the sockets, and remove the files of Unix sockets that this process created.

    In a forked worker it removes nothing, so both the workers and the master may call it.
    """
    for listener in listeners:
        if isinstance(listener, UnixListener):
            listener.unlink()
        listener.close()


def describe(listener: socket.socket, *, scheme: str = "http") -> str:
    """Where a listener can be reached, for messages: `http://127.0.0.1:8000`, `unix:/run/app.sock`."""
    if isinstance(listener, UnixListener):
        return f"unix:{listener.path}"
    address = listener.getsockname()
    if listener.family == AF_UNIX:
        # unix(7): an abstract name is bytes that start with a NUL, an unnamed socket has no name.
        return f"unix:@{os.fsdecode(address[1:])}" if isinstance(address, bytes) else f"unix:{address}"
    if listener.family == socket.AF_INET6:
        # Includes the interface of a link-local address; the flags prevent a look-up of names.
        host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return f"{scheme}://[{host}]:{address[1]}"
    return f"{scheme}://{address[0]}:{address[1]}"


def _parse(bind: str) -> Address:
    with _naming(bind):
        return parse_address(bind)


def _open(address: Address, addresses: Sequence[Address], backlog: int, unix_mode: int) -> list[socket.socket]:
    match address:
        case TcpAddress():
            return _open_tcp(_resolve(address, addresses), backlog)
        case UnixAddress(path):
            return [open_unix_listener(path, backlog=backlog, mode=unix_mode)]
        case InheritedAddress(fd):
            return [adopt_listener(fd)]


@contextmanager
def _naming(bind: str) -> Iterator[None]:
    """Turn an error with one address into a ConfigError that names it."""
    try:
        yield
    except ValueError as error:
        raise ConfigError("bind", bind, str(error)) from None
    except OSError as error:
        raise ConfigError("bind", bind, _reason(error)) from error


class _InUseError(OSError):
    """The port of `target` is in use."""

    def __init__(self, target: _Target) -> None:
        super().__init__(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.target = target


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"already in use by {_holder(error) or 'another server'}"
    if isinstance(error, socket.gaierror):
        return "the name does not resolve to an address"
    if isinstance(error, PermissionError):
        return "permission denied (a port below 1024 or the directory of a Unix socket may require other privileges)"
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def _holder(error: OSError) -> str:
    from ropewalk.net.listeners.holder import holder_of_path, holder_of_port  # only for an address that is in use

    if isinstance(error, _InUseError):
        family, address = error.target
        return holder_of_port(family, address[0], address[1])
    return holder_of_path(error.filename) if isinstance(error.filename, str) else ""


def _open_tcp(targets: Sequence[_Target], backlog: int) -> list[socket.socket]:
    for _ in range(PORT_TRIES - 1):
        try:
            return _listen_on_each(targets, backlog)
        except OSError as error:
            # Port 0: the port that is free for the first family may be in use for the second.
            if error.errno != errno.EADDRINUSE or len(targets) == 1 or targets[0][1][1] != 0:
                raise
    return _listen_on_each(targets, backlog)


def _resolve(address: TcpAddress, addresses: Sequence[Address]) -> list[_Target]:
    """The first address of each family that the host has, IPv4 first.

    `localhost` is 127.0.0.1 and ::1, and clients differ in which they try first: with a server on only one of them,
    some clients are refused, or reach another server on the same port of the other. But a name with several addresses
    of one family is a cluster's, and not all of them belong to this machine.
    """
    if not address.host or (address.host == "::" and not _has_ipv4(addresses, address.port)):
        # On Linux [::]:80 accepts IPv4 as well, and people use it for that. With two sockets, IPv4 clients keep their
        # addresses: nobody lists ::ffff:127.0.0.1 as a trusted proxy.
        return [
            (socket.AF_INET, ("0.0.0.0", address.port)),
            (socket.AF_INET6, ("::", address.port, 0, 0)),
        ]
    # As octets: text would go through the codec for international names, which loads all of Unicode's tables.
    host = address.host.encode()
    found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    first_of_family: dict[socket.AddressFamily, _Target] = {}
    for family, _, _, _, socket_address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            first_of_family.setdefault(family, (family, socket_address))  # type: ignore[arg-type]  # a tuple of ints only for other families
    return sorted(first_of_family.values(), key=lambda target: target[0] != socket.AF_INET)


def _has_ipv4(addresses: Sequence[Address], port: int) -> bool:
    return any(isinstance(a, TcpAddress) and a.port == port and ":" not in a.host for a in addresses)


def _listen_on_each(targets: Sequence[_Target], backlog: int) -> list[socket.socket]:
    """A listener for each target, on one port. A family that this machine does not have is skipped, unless all are."""
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    port = 0
    try:
        for family, (host, wanted_port, *rest) in targets:
            address: Any = (host, wanted_port or port, *rest)
            try:
                listener = _listen(family, address, backlog)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise _InUseError((family, address)) from None
                if error.errno not in _NO_SUCH_NETWORK:
                    raise
                missing = error
            else:
                listeners.append(listener)
                port = listener.getsockname()[1]
        if missing and not listeners:
            raise missing
    except BaseException:
        close_listeners(listeners)
        raise
    return listeners


def _listen(family: socket.AddressFamily, address: tuple[str | int, ...], backlog: int) -> TcpListener:
    listener = TcpListener(family, socket.SOCK_STREAM)
    try:
        # Do not wait for the connections of a server that has just exited (TIME_WAIT). On Linux this does not allow two
        # servers to listen on one port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own, whatever the machine's default is.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
