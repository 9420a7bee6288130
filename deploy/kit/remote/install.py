"""`make setup INSTALL=1`: Debian's package of Docker, on the server or on this machine."""

import os
import shlex
from collections.abc import Mapping

from kit import processes
from kit.console import step
from kit.errors import KitError
from kit.remote import connection
from kit.remote.server import BIN, Server

SCRIPT = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
known() { apt-cache show "$1" >/dev/null 2>&1; }
apt-get update -qq
packages="docker.io python3"
if known docker-cli; then packages="$packages docker-cli"; fi
if [ "$2" = here ]; then
  packages="$packages make git"
  if known docker-compose-v2; then packages="$packages docker-compose-v2"; else packages="$packages docker-compose"; fi
  if known docker-buildx; then packages="$packages docker-buildx"; fi
fi
echo "apt-get install $packages"
apt-get install -y -qq --no-install-recommends $packages >/dev/null
if [ -d /run/systemd/system ]; then systemctl enable --quiet --now docker; fi
if [ "$1" != root ]; then usermod -aG docker "$1"; fi
"""
"""With the user and the place (here or server). It runs as root."""


def install(server: Server | None, environment: Mapping[str, str], *, is_root: bool) -> None:
    """Raises KitError if it does not succeed; the programs have said why."""
    user = server.user if server else environment.get("USER") or "root"
    command = ["sh", "-c", SCRIPT, "setup", user, "server" if server else "here"]
    if not is_root:
        command = ["sudo", *command]
    step(f"Installing Docker on {server.host if server else 'this machine'}, by apt")
    if server:
        # a terminal, in which sudo can ask for a password
        words = ["-t"] if os.isatty(0) else ["-o", "BatchMode=yes"]
        command = [str(BIN / "ssh"), *words, *server.words, shlex.join(command)]
    if status := processes.call(command, environment):
        raise KitError(f"Docker was not installed: exit status {status}")
    if server:
        connection.close(server, environment)  # the user is in the group docker from the next login on
