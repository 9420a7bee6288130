"""What the kernel tells of processes: children, sockets, states; and what it can be told of them: limits, cgroups."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from faults.outcomes import Death

LISTEN = "0A"  # a state in /proc/net/tcp
SECONDS = 10.0  # for what the kernel or a server does at once
NOBODY = 65534

# Somebody without rights, whose processes the kernel counts, and who can still read the interpreter wherever it is.
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override"),
]


def wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Whether it came true within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)
    return True


def stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the state on; empty when there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return []


def is_alive(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def _all() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat(int(entry))) and fields[0] not in "ZX":
            yield int(entry), fields


def children(parent: int) -> list[int]:
    """The children that live, the oldest first."""
    found = [(int(fields[19]), pid) for pid, fields in _all() if int(fields[1]) == parent]
    return [pid for _, pid in sorted(found)]


def of_session(session: int) -> list[int]:
    return [pid for pid, fields in _all() if int(fields[3]) == session]


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    found = set()
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _connections() -> Iterator[tuple[str, int, int, str]]:
    """Of all TCP sockets: the state, the local and the remote port, the inode."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        yield fields[3], int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16), fields[9]


def listening_port(pid: int) -> int:
    """The port at which the process listens, or 0."""
    mine = _sockets(pid)
    return next((local for state, local, _, inode in _connections() if state == LISTEN and inode in mine), 0)


def client_ports(pid: int, port: int) -> frozenset[int]:
    """The other ends' ports of the connections to `port` that the process holds."""
    mine = _sockets(pid)
    return frozenset(remote for _, local, remote, inode in _connections() if local == port and inode in mine and remote)


def suspend(pid: int, port: int) -> Death:
    """Stop a worker, so that what it holds can be told exactly. Raises ProcessLookupError."""
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: stat(pid)[:1] in ([], ["T"], ["Z"]))
    return Death(pid, client_ports(pid, port), began)


def kill(pid: int, port: int) -> Death:
    """Kill a worker with all that it holds."""
    death = suspend(pid, port)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    return replace(death, ended=time.monotonic())


def limit_memory(pid: int, more_octets: int) -> None:
    """Let a process of this user have only so much more address space."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_octets
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


def limit_forks(pid: int, is_forbidden: bool) -> None:
    """Forbid a process to fork, or allow it again. Its user must not be root, whom the kernel does not count."""
    command = ["prlimit", f"--pid={pid}", f"--nproc={'1' if is_forbidden else _most_processes()}:"]
    subprocess.run([*(AS_NOBODY if os.geteuid() == 0 else []), *command], check=True, timeout=SECONDS)


def _most_processes() -> str:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return "unlimited" if hard == resource.RLIM_INFINITY else str(hard)


def missing_for_forks() -> str:
    """Why `limit_forks` cannot be done here, or nothing."""
    try:
        can = subprocess.run(
            [*(AS_NOBODY if os.geteuid() == 0 else []), "prlimit", "--nproc"], capture_output=True, check=False
        )
    except OSError as error:
        return f"{error.filename} is not installed"
    return "" if can.returncode == 0 else "this user may not become another one"


def memory_cgroup() -> tuple[Path, str] | None:
    """Where a memory cgroup can be made, and the name of its limit; None where it cannot."""
    for parent, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),  # version 1
        (Path("/sys/fs/cgroup"), "memory.max"),  # version 2
    ):
        probe = parent / f"faults-probe-{os.getpid()}"
        try:
            probe.mkdir()
        except OSError:
            continue
        try:
            if (probe / limit).exists():
                return parent, limit
        finally:
            probe.rmdir()
    return None


@contextmanager
def in_memory_cgroup(pid: int, octets: int) -> Iterator[None]:
    """Let the kernel kill a process as soon as it takes so much memory more than it has."""
    found = memory_cgroup()
    assert found is not None
    parent, limit = found
    group = parent / f"faults-{os.getpid()}-{pid}"
    group.mkdir()
    try:
        with suppress(OSError):  # version 1, or none
            (group / "memory.swappiness").write_text("0")
        with suppress(OSError):  # version 2
            (group / "memory.swap.max").write_text("0")
        (group / limit).write_text(str(octets))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with suppress(OSError):
            if is_alive(pid):
                (parent / "cgroup.procs").write_text(str(pid))
        if not wait_for(lambda: _removed(group)):
            raise RuntimeError("a cgroup could not be removed")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def program_version(package: Path) -> str:
    """`__version__` of a package's source."""
    found = re.search(r'__version__ = "([^"]+)"', (package / "__init__.py").read_text())
    return found[1] if found else "unknown"
