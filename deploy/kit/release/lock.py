"""One deployment at a time: a container that is created and never started, under a name that is unique in the engine.

So the lock holds for every checkout and every machine that uses the engine. Its label names the process that has it:
a lock whose process on this machine has ended is taken over.
"""

import getpass
import os
import socket
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kit.release.engine import Engine
from kit.release.errors import ReleaseError

LABEL = "ropewalk.deployment"
SINCE = "{{.Created}}"
ATTEMPTS = 5


class Owner(NamedTuple):
    user: str
    host: str
    machine: str
    """Of the host, since several machines may have one name, such as debian."""
    boot: str
    """Of the host's kernel: another one after a restart of the machine. Empty if the system does not say."""
    pid: int
    started: str
    """When the process started, in any form: another process may get the same pid later."""

    def __str__(self) -> str:
        return "\t".join(map(str, self))

    @property
    def is_gone(self) -> bool:
        """Whether it certainly has ended."""
        if (self.host, self.machine) != (socket.gethostname(), machine_id()):
            return False
        return self.boot != boot_id() or self.started != start_time(self.pid)


def read_owner(text: str) -> Owner | None:
    parts = text.split("\t")
    if len(parts) != 6 or not parts[4].isdigit():
        return None
    return Owner(parts[0], parts[1], parts[2], parts[3], int(parts[4]), parts[5])


def this_process() -> Owner:
    pid = os.getpid()
    return Owner(getpass.getuser(), socket.gethostname(), machine_id(), boot_id(), pid, start_time(pid))


def machine_id() -> str:
    """machine-id(5), or the address of a network card."""
    with suppress(OSError):
        if found := Path("/etc/machine-id").read_text().strip():
            return found
    return f"{uuid.getnode():x}"


def boot_id() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def start_time(pid: int) -> str:
    """Empty if there is no such process."""
    with suppress(OSError):
        # after the name, which may contain anything; proc(5), field 22
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    if Path("/proc/self/stat").exists():
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return ""


def name(project: str) -> str:
    return f"{project}-deployment"


def acquire(engine: Engine, project: str, image_id: str, *, by_force: bool = False) -> str:
    """Returns the id of the lock. `image_id` is any image. Raises ReleaseError if another deployment has it."""
    label = f"--label={LABEL}={this_process()}"
    for _ in range(ATTEMPTS):
        created = engine.run("create", "--name", name(project), "--network", "none", label, image_id)
        if created.status == 0:
            return created.output.strip()
        if "already in use" not in created.errors:
            raise ReleaseError(f"the lock cannot be created: {created.reason}")
        _take_over(engine, project, by_force=by_force)
    raise ReleaseError(f"the lock {name(project)} cannot be created: it comes back again and again")


class Lock(NamedTuple):
    """One that is taken."""

    identifier: str
    created: str
    owner: Owner | None
    """None: another version of this command has it."""

    @property
    def in_progress(self) -> str:
        """The deployment that has it, for people; "" if its process has certainly ended."""
        if self.owner and self.owner.is_gone:
            return ""
        owner = self.owner
        who = f"{owner.user}@{owner.host}, process {owner.pid}," if owner else "another version of this command,"
        return f"{who} since {self.created[:19]}Z"


def find(engine: Engine, project: str) -> Lock | None:
    """None: nobody has it. Raises ReleaseError if a container of somebody else has its name."""
    template = f'{{{{.Id}}}}\n{{{{.Created}}}}\n{{{{index .Config.Labels "{LABEL}"}}}}'
    found = engine.run("container", "inspect", "--format", template, name(project))
    if found.status:
        return None
    identifier, created, label = [*found.output.rstrip("\n").split("\n", 2), "", ""][:3]
    owner = read_owner(label)
    if owner is None and not label:
        raise ReleaseError(f"there is a container named {name(project)}, which is not a deployment's: rename it")
    return Lock(identifier, created, owner)


def _take_over(engine: Engine, project: str, *, by_force: bool) -> None:
    if (found := find(engine, project)) is None:
        return  # it has just gone
    if not by_force and (who := found.in_progress):
        raise ReleaseError(
            f"another deployment of {project} is in progress: {who}. If it no longer runs: make deploy UNLOCK=1"
        )
    # By its id: of two that take it over, one finds it gone, and then meets the lock of the other.
    engine.run("rm", "--volumes", found.identifier)


def release(engine: Engine, identifier: str) -> None:
    engine.run("rm", "--volumes", identifier)
