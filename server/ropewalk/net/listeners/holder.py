"""Who listens at an address, and at which ones a process does, from /proc (proc(5)): asked only when something failed.

Without root, the files of other users' processes cannot be seen; then only the user is known.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

LISTEN: Final = "0A"
"""A TCP socket's state in /proc/net/tcp."""

MAX_NAME: Final = 60

_PYTHON = re.compile(r"python[\d.]*[a-z]?")
_UNIX_LISTENER = re.compile(r"\S+: \S+ \S+ 00010000 \S+ \S+ +(\d+) (.*)\n")
"""A line of /proc/net/unix with the flag of a socket that listens: its inode and its path."""


def holder_of_port(family: int, host: str, port: int) -> str:
    """Who listens at a TCP address, so that it cannot be bound: `gunicorn (pid 4711)`, or `a process of root`.

    "" if it cannot be found.
    """
    address = socket.inet_pton(family, host.partition("%")[0])
    users = {}
    for table, other in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for local, inode, user in _tcp_listeners(table):
            its_address, its_port = _parse(local)
            is_same = (family == other and its_address == address) or not any(its_address) or not any(address)
            if its_port == port and is_same:
                users[inode] = user
    return _name(users)


def holder_of_path(path: str) -> str:
    """Who listens at the path of a Unix socket; "" if it cannot be found."""
    paths = (path, os.path.abspath(path))
    return _name(dict.fromkeys(inode for inode, its_path in _unix_listeners() if its_path in paths))


def addresses_of(pid: int) -> list[str]:
    """Where a process listens: `127.0.0.1:8000`, `[::1]:8000` or `unix:/run/shop.sock`, without abstract names.

    Empty for another user's process, and for one of another network namespace.
    """
    files, found = set(_open_files(str(pid))), []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for local, inode, _ in _tcp_listeners(table):
            if f"socket:[{inode}]" in files:
                address, port = _parse(local)
                host = socket.inet_ntop(family, address)
                found.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    for inode, path in _unix_listeners():
        if f"socket:[{inode}]" in files and not path.startswith("@"):
            found.append(f"unix:{path}")
    return found


def _unix_listeners() -> Iterator[tuple[str, str]]:
    """The inode and the path of each listening socket that has one."""
    with suppress(OSError), open("/proc/net/unix", errors="surrogateescape") as lines:
        for match in filter(None, map(_UNIX_LISTENER.match, lines)):
            yield match[1], match[2]


def _tcp_listeners(table: str) -> Iterator[tuple[str, str, int]]:
    """The local address, the inode and the user of each listening socket."""
    with suppress(OSError), open(f"/proc/net/{table}") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN:
                yield fields[1], fields[9], int(fields[7])


def _parse(local: str) -> tuple[bytes, int]:
    """The address and the port of `0100007F:1F40`: words of 32 bits in the order of the machine."""
    address, _, port = local.partition(":")
    octets = bytes.fromhex(address)
    if sys.byteorder == "little":
        octets = b"".join(octets[start : start + 4][::-1] for start in range(0, len(octets), 4))
    return octets, int(port, 16)


def _name(users: dict[str, int] | dict[str, None]) -> str:
    """Who has one of the sockets, which are inodes with the users that have opened them."""
    owners = set(_owners(users))
    if os.getpid() in owners:
        return "this process"
    if owners:
        # Workers have the sockets of their master, which would start them again.
        pid = min(owners, key=lambda each: (_parent(each) in owners, each))
        return f"{_command(pid)} (pid {pid})"
    known = {user for user in users.values() if user is not None}
    return f"a process of {_user_name(known.pop())}" if known else ""


def _owners(inodes: Iterable[str]) -> Iterator[int]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc") if wanted else ()):
        if not wanted.isdisjoint(_open_files(pid)):
            yield int(pid)


def _open_files(pid: str) -> Iterator[str]:
    """What the descriptors of a process lead to; nothing if it has ended, or belongs to another user."""
    directory, descriptors = f"/proc/{pid}/fd", []
    with suppress(OSError):
        descriptors = os.listdir(directory)
    for descriptor in descriptors:
        with suppress(OSError):  # it has been closed
            yield os.readlink(f"{directory}/{descriptor}")


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError), open(f"/proc/{pid}/stat", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    """The name of a process; for Python that of the program too, without its arguments."""
    name, arguments = "a process", []
    with suppress(OSError):
        with open(f"/proc/{pid}/comm", errors="replace") as file:
            name = file.read().rstrip("\n")
        with open(f"/proc/{pid}/cmdline", errors="replace") as file:
            arguments = file.read().split("\0")[1:-1]
    if _PYTHON.fullmatch(name) and arguments:
        end = 2 if arguments[0] == "-m" else 1
        if end == 2 or not arguments[0].startswith("-"):
            name = " ".join((name, *arguments[:end]))
    shown = "".join(each if each.isprintable() else "?" for each in name)
    return shown if len(shown) <= MAX_NAME else shown[: MAX_NAME - 3] + "..."


def _user_name(number: int) -> str:
    import pwd  # not needed for one's own processes

    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return f"user {number}"
