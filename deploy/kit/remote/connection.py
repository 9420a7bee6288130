"""The SSH connection to the server: opened before anything else, with a question for a password if ssh has one, and the
reason in one line if it cannot be used."""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from kit.errors import KitError
from kit.remote.server import BIN, Server

ASK = ("docker", "version", "--format", "{{.Server.Version}}")
PATIENCE = 40.0  # seconds, for a server that is slow; bin/ssh gives up a connection after 15
PATIENCE_WITH_TERMINAL = 180.0  # somebody may have to type a password
SSH_FAILED = 255
"""ssh's own exit status."""

CHANGED_KEY = (
    "the host key of {host} is another one than before: if the server was installed again, remove the old key:"
    " ssh-keygen -R '{known}'; otherwise somebody may be in between"
)
UNKNOWN_KEY = (
    "the host key of {host} is not known here: log in once, and compare what ssh shows with the server's own: {login}"
)
LOGIN_REFUSED = "{host} does not let {user} in: add your public key there ({copy}), or load it (ssh-add)"
CLOSED = "{host} ends the connection before the login: too many attempts, or port {port} is not SSH's"
OF_SSH = (
    ("IDENTIFICATION HAS CHANGED", CHANGED_KEY),
    ("Host key verification failed", UNKNOWN_KEY),
    ("Permission denied", LOGIN_REFUSED),
    ("Too many authentication failures", "{host} has refused too many keys: name the right one in ~/.ssh/config"),
    ("Could not resolve hostname", "there is no server named {host}: look at HOST, and at its DNS record"),
    ("Connection refused", "no SSH server listens at {host}, port {port}: start it, or correct HOST=user@server:port"),
    ("timed out|No route|unreachable", "{host} does not answer at port {port}: is it on? does a firewall block SSH?"),
    ("Bad configuration option|command-line", "SSH_OPTIONS: ssh does not know one of these options"),
    ("closed by|reset by|kex_exchange", CLOSED),
)
"""What ssh prints, and the reason with its mend."""

NOT_ALLOWED = (
    "{user} may not use Docker on {host}: make setup HOST={server} INSTALL=1, or there: sudo usermod -aG docker {user}"
)
OF_DOCKER = (
    ("not found|No such file", "Docker is not installed on {host}: make setup HOST={server} INSTALL=1"),
    ("permission denied", NOT_ALLOWED),
    (
        "Cannot connect to the Docker daemon|failed to connect",
        "the Docker engine on {host} does not run; there: sudo systemctl enable --now docker",
    ),
)


def open_to(server: Server, environment: Mapping[str, str]) -> None:
    """Raises KitError."""
    status, said = call(server, list(ASK), environment)
    if status or not said:
        close(server, environment)  # it may have been opened before somebody mended what is wrong
        raise KitError(reason(server, status, said))


def call(
    server: Server, words: Sequence[str], environment: Mapping[str, str], *, sent: bytes = b"", patience: float = 0
) -> tuple[int, str]:
    """A command on the server: its exit status, and what it printed on both streams.

    Into a file, not a pipe: the shared connection may be opened by this call, and outlives it with its descriptors.
    """
    has_terminal = _has_terminal()
    options = [] if has_terminal else ["-o", "BatchMode=yes"]
    command = [str(BIN / "ssh"), *options, "-T", *server.words, *words]
    patience = patience or (PATIENCE_WITH_TERMINAL if has_terminal else PATIENCE)
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as given:
        given.write(sent)
        given.seek(0)
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=given,
                stdout=printed,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=patience,
            )
        except subprocess.TimeoutExpired:
            raise KitError(f"{server} does not answer within {patience:.0f} s") from None
        except OSError as error:
            raise KitError(f"ssh cannot be started: {error.strerror}") from None
        printed.seek(0)
        return done.returncode, printed.read().decode(errors="replace").strip()


def close(server: Server, environment: Mapping[str, str]) -> None:
    """The next call logs in again, and so has the groups that its user was given meanwhile."""
    command = [str(BIN / "ssh"), "-O", "exit", *server.words]
    subprocess.run(command, env=environment, capture_output=True, check=False, timeout=10, stdin=subprocess.DEVNULL)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def reason(server: Server, status: int, said: str) -> str:
    """Why the server's engine cannot be used, with what mends it."""
    is_ssh = status == SSH_FAILED and not re.search("docker", said, re.IGNORECASE)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for pattern, text in OF_SSH if is_ssh else OF_DOCKER:
        if re.search(pattern, said):
            return text.format(
                server=server,
                user=server.user,
                host=server.host,
                port=server.port or "22",
                known=f"[{server.host}]:{server.port}" if server.port else server.host,
                login=server.login,
                copy=server.login.replace("ssh", "ssh-copy-id", 1),
            )
    return f"{server}: {lines[-1] if lines else 'docker there does not say its version'}"
