"""Limits that a scenario sets on a running process: memory, forks, a memory cgroup."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from faults.run.processes import WAIT_SECONDS, is_alive, wait_for

NOBODY = 65534

# An unprivileged user, whose processes RLIMIT_NPROC limits, that can still read the interpreter wherever it is.
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override"),
]
CGROUPS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),  # version 1
    (Path("/sys/fs/cgroup"), "memory.max"),  # version 2
)


def limit_memory(pid: int, more_bytes: int) -> None:
    """Limit the address space of a process to its present size and `more_bytes`."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


def limit_forks(pid: int, is_forbidden: bool) -> None:
    """Forbid a process to fork, or allow it again. It must not run as root, which has no such limit."""
    command = ["prlimit", f"--pid={pid}", f"--nproc={'1' if is_forbidden else _max_processes()}:"]
    subprocess.run([*_unprivileged(), *command], check=True, timeout=WAIT_SECONDS)


def _unprivileged() -> list[str]:
    return AS_NOBODY if os.geteuid() == 0 else []


def _max_processes() -> str:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return "unlimited" if hard == resource.RLIM_INFINITY else str(hard)


def missing_for_forks() -> str:
    """Why `limit_forks` cannot work on this machine, or an empty string."""
    try:
        done = subprocess.run([*_unprivileged(), "prlimit", "--nproc"], capture_output=True, check=False)
    except OSError as error:
        return f"{error.filename} is not installed"
    return "" if done.returncode == 0 else "this user cannot become another one"


def missing_for_cgroups() -> str:
    """Why `in_memory_cgroup` cannot work on this machine, or an empty string."""
    return "" if _memory_cgroup() else "a memory cgroup cannot be created"


def _memory_cgroup() -> tuple[Path, str] | None:
    """Where a memory cgroup can be created, and the name of its limit."""
    for parent, limit in CGROUPS:
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
def in_memory_cgroup(pid: int, max_bytes: int) -> Iterator[None]:
    """Have the kernel kill a process once it takes that much memory beyond its present use."""
    found = _memory_cgroup()
    assert found is not None
    parent, limit = found
    group = parent / f"faults-{os.getpid()}-{pid}"
    group.mkdir()
    try:
        with suppress(OSError):  # version 1
            (group / "memory.swappiness").write_text("0")
        with suppress(OSError):  # version 2
            (group / "memory.swap.max").write_text("0")
        (group / limit).write_text(str(max_bytes))
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with suppress(OSError):
            if is_alive(pid):
                (parent / "cgroup.procs").write_text(str(pid))
        if not wait_for(lambda: _is_removed(group)):
            raise RuntimeError(f"the cgroup {group} could not be removed")


def _is_removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
