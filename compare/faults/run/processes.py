"""Processes and their sockets, as the kernel shows them in /proc."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from faults.run.outcomes import WorkerDeath

LISTEN = "0A"  # a state in /proc/net/tcp
WAIT_SECONDS = 10.0  # for what the kernel or a server does promptly


def wait_for(condition: Callable[[], object], seconds: float = WAIT_SECONDS) -> bool:
    """Whether the condition becomes true within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty if there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return []


def is_alive(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def resident_bytes(pid: int) -> int:
    """Bytes of memory of a process; 0 if there is no such process."""
    fields = stat(pid)
    return int(fields[21]) * resource.getpagesize() if fields else 0


def _all() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat(int(entry))) and fields[0] not in "ZX":
            yield int(entry), fields


def children(parent: int) -> list[int]:
    """The children that are alive, the oldest first."""
    found = [(int(fields[19]), pid) for pid, fields in _all() if int(fields[1]) == parent]
    return [pid for _, pid in sorted(found)]


def of_session(session: int) -> list[int]:
    """The processes of a session that are alive."""
    return [pid for pid, fields in _all() if int(fields[3]) == session]


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets of a process."""
    found = set()
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _connections() -> Iterator[tuple[str, int, int, str]]:
    """The state, the local and the remote port, and the inode of every TCP socket."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        yield fields[3], int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16), fields[9]


def listening_port(pid: int) -> int:
    """The port on which the process listens, or 0."""
    mine = _sockets(pid)
    return next((local for state, local, _, inode in _connections() if state == LISTEN and inode in mine), 0)


def client_ports(pid: int, port: int) -> frozenset[int]:
    """The client ports of the connections to `port` that the process holds."""
    mine = _sockets(pid)
    return frozenset(remote for _, local, remote, inode in _connections() if local == port and inode in mine and remote)


def suspend(pid: int, port: int) -> WorkerDeath:
    """Stop a worker, so that its connections can be listed exactly. Raises `ProcessLookupError`."""
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: stat(pid)[:1] in ([], ["T"], ["Z"]))
    return WorkerDeath(pid, client_ports(pid, port), began)


def kill(pid: int, port: int) -> WorkerDeath:
    """Kill a worker, with the connections it holds. Raises `ProcessLookupError`."""
    death = suspend(pid, port)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    return replace(death, ended=time.monotonic())
