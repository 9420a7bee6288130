"""The server that HOST names, and the variables with which docker works there: the one place that sets them.

docker's own SSH transport carries everything: `docker system dial-stdio` on the server passes its engine's socket on.
"""

import os
import re
import shlex
import shutil
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kit import env_files
from kit.errors import KitError

HOST = "HOST"
SSH = "ROPEWALK_SSH"
"""The real ssh, for bin/ssh."""
SOCKET = "ROPEWALK_SSH_SOCKET"
"""The path of the connection that is shared, in ssh's own notation."""
ENGINE_HERE = "ROPEWALK_ENGINE_HERE"
"""DOCKER_HOST of this machine's engine, if it was set."""
BIN = Path(__file__).resolve().parent / "bin"

PATTERN = re.compile(
    r"(?:ssh://)?(?P<user>[A-Za-z0-9_][A-Za-z0-9_.$-]*)@"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?/?"
)
ALLOWED = "must be user@server, or user@server:port"
LONGEST_BASE = 30
"""Octets: ssh appends 41 of its own, and 17 while it opens the connection."""


class Server(NamedTuple):
    user: str
    host: str
    """A name, an alias of ssh's configuration, or an address."""
    port: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}{f':{self.port}' if self.port else ''}"

    @property
    def words(self) -> list[str]:
        """For ssh."""
        return ["-l", self.user, *(["-p", self.port] if self.port else []), "--", self.host]

    @property
    def login(self) -> str:
        """The command by which a person logs in."""
        return f"ssh {f'-p {self.port} ' if self.port else ''}{self.user}@{self.host}"

    def tunnel(self, port: str) -> str:
        """The command by which a person's browser reaches a port that is the server's alone."""
        return f"ssh -N -L {port}:localhost:{port} {self.login.removeprefix('ssh ')}"


def read(text: str) -> Server:
    """Raises KitError."""
    match = PATTERN.fullmatch(text)
    if not match or int(match["port"] or 1) not in range(1, 65536):
        raise KitError(f"HOST={text!r}: {ALLOWED}")
    return Server(match["user"], match["host"].strip("[]"), match["port"] or "")


def find(environment: Mapping[str, str]) -> Server | None:
    """From the environment, or .env; None if HOST is blank or unset. Raises KitError."""
    given = env_files.read_kit(environment).get(HOST, "").strip()
    # some shells set HOST to the name of this machine
    return None if given in ("", socket.gethostname()) else read(given)


def of(environment: Mapping[str, str]) -> Server | None:
    """The one that `environment` works on, after `variables`; None: this machine's engine."""
    return read(environment[HOST]) if environment.get(SOCKET) else None


def variables(server: Server, environment: Mapping[str, str]) -> dict[str, str]:
    """Those that are added to `environment`. Raises KitError if there is no ssh, or an engine is named twice."""
    url = f"ssh://{server}"
    given = environment.get("DOCKER_HOST", "")
    if not given.startswith(("unix:", url)) and given:
        raise KitError(f"HOST={server} and DOCKER_HOST={given} name two engines: unset one of them")
    ssh = environment.get(SSH) or shutil.which("ssh", path=environment.get("PATH"))
    if not ssh:
        raise KitError("HOST needs ssh, which is not installed here: apt install openssh-client")
    try:
        shlex.split(environment.get("SSH_OPTIONS", ""))
    except ValueError as error:
        raise KitError(f"SSH_OPTIONS={environment['SSH_OPTIONS']!r}: {str(error).lower()}") from None
    return {
        HOST: str(server),
        "DOCKER_HOST": url,
        **({ENGINE_HERE: given} if given.startswith("unix:") else {}),
        SSH: ssh,
        SOCKET: f"{folder(environment)}/%C",
        # sshd refuses an eleventh session on one connection (MaxSessions), then several logins at once (MaxStartups)
        "COMPOSE_PARALLEL_LIMIT": environment.get("COMPOSE_PARALLEL_LIMIT") or "4",
        "PATH": f"{BIN}{os.pathsep}{environment.get('PATH', os.defpath)}",
    }


def folder(environment: Mapping[str, str]) -> Path:
    """Where the sockets of connections are: short, since a socket's path has at most 104 octets, and its owner's alone.

    Raises KitError.
    """
    base = environment.get("XDG_RUNTIME_DIR", "")
    is_usable = base and len(base) < LONGEST_BASE and Path(base).is_dir()
    path = Path(base) / "ropewalk" if is_usable else Path(f"/tmp/ropewalk-{os.getuid()}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise KitError(f"{path}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise KitError(f"{path} is not a folder of yours alone: remove it")
    return path
