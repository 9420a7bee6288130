"""The site that `make prove` deploys: a small project of its own, in containers of its own."""

import contextlib
import http.client
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from kit.errors import KitError
from kit.paths import ROOT
from kit.prove.traffic import Client

KIT = (sys.executable, "-I", str(ROOT / "deploy/kit"))
WSGI = '''"""Responds with its version, and with the SHA-256 of the body."""

import hashlib
{first_line}

def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("{status}", [("Content-Type", "text/plain")])
    return [("{version} " + hashlib.sha256(body).hexdigest()).encode()]
'''
FLASK = """
import flask
site = flask.Flask(__name__)
site.wsgi_app = application
application = site
"""
"""What makes an application with static files of it, which nginx serves."""

STATIC_FILE = "static/version.txt"
WORKERS = """
import os
parents = {}
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{name}/stat") as file:
            parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
        with open(f"/proc/{name}/cmdline", "rb") as file:
            command = file.read()
    except OSError:
        continue
    if b"ropewalk" not in command and b"gunicorn" not in command:
        del parents[int(name)]
print(*[pid for pid, parent in parents.items() if parent in parents])
"""
"""Prints the processes of the server that another one of it has started."""

COMMAND_TIMEOUT = 900  # seconds


class ProofError(Exception):
    """A step that did not do what it had to, with the lines that it printed."""

    def __init__(self, text: str, lines: list[str]) -> None:
        super().__init__(text)
        self.lines = lines


class Site:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.step_seconds: dict[str, float] = {}
        """How long each step of a deployment took; empty: not measured yet."""
        self.has_static_files = False
        """Whether the releases that are written have a static file: their version."""
        self.killed: float | None = None
        """When the last step had killed something, by the monotonic clock; None: it does not say."""
        self._written = 0
        self.name = f"ropewalk-prove-{secrets.token_hex(4)}"
        kept = {name: environment[name] for name in KEPT if name in environment}
        self.environment = {
            **kept,
            "COMPOSE_ENV_FILES": "/dev/null",
            "COMPOSE_PROJECT_NAME": self.name,
            "PROJECT_DIR": str(folder),
            "PROJECT_ID": folder.name,
            "HTTP_PORT": "0",
            "HTTPS_PORT": "0",
            "WEB_CONCURRENCY": "2",
            # all of this traffic has one address
            **dict.fromkeys(("RATE_LIMIT", "CONNECTION_LIMIT", "BODY_LIMIT"), "0"),
        }

    def write(self, version: str, first_line: str = "", status: str = "200 OK") -> None:
        text = WSGI.format(version=version, first_line=first_line, status=status)
        if self.has_static_files:
            text += FLASK
            (self.folder / "requirements.txt").write_text("flask\n", encoding="utf-8")
            (self.folder / STATIC_FILE).parent.mkdir(exist_ok=True)
            (self.folder / STATIC_FILE).write_text(f"{version} ", encoding="utf-8")
        (self.folder / "wsgi.py").write_text(text, encoding="utf-8")

    def write_next(self) -> str:
        """A release that there was not; its version."""
        self._written += 1
        self.write(version := f"version-{self._written}")
        return version

    def version(self, target: str = "/") -> str:
        """Of the release that serves, or whose static file nginx serves. Raises ProofError if it does not respond."""
        client = self.clients()[0]
        connection = http.client.HTTPConnection(*client.address, timeout=COMMAND_TIMEOUT)
        try:
            connection.request("GET", target)
            return connection.getresponse().read().decode(errors="replace").split(" ")[0]
        except (OSError, http.client.HTTPException) as error:
            raise ProofError(f"the site does not respond: {error}", []) from None
        finally:
            connection.close()

    def kit(self, *arguments: str, status: int = 0, **variables: str) -> str:
        """What the command prints. Raises ProofError if it ends with another status."""
        done = subprocess.run(
            [*KIT, *arguments],
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode != status:
            said = f"{' '.join(arguments)}: exit status {done.returncode} instead of {status}"
            raise ProofError(said, done.stdout.splitlines()[-20:])
        return done.stdout

    def docker(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Raises ProofError."""
        done = subprocess.run(
            ["docker", *arguments],
            env=environment or self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode:
            raise ProofError(f"docker {' '.join(arguments)}: exit status {done.returncode}", done.stderr.splitlines())
        return done.stdout

    def containers(self, service: str = "app") -> list[str]:
        """The identifiers of those that run."""
        labels = (f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}")
        return self.docker("ps", "--quiet", *(f"--filter=label={label}" for label in labels)).split()

    def workers(self, container: str) -> list[int]:
        return [int(pid) for pid in self.docker("exec", container, "python3", "-Ic", WORKERS).split()]

    def clients(self) -> list[Client]:
        """GET and POST, on new and on kept connections, by HTTP and HTTPS."""
        inspected = json.loads(self.docker("inspect", self.containers("nginx")[0]))[0]
        ports = inspected["NetworkSettings"]["Ports"]
        plain, tls = (("127.0.0.1", int(ports[port][0]["HostPort"])) for port in ("8080/tcp", "8443/tcp"))
        return [
            *(Client(plain, is_post=is_post, keeps_alive=kept) for is_post in (False, True) for kept in (False, True)),
            Client(tls, is_https=True, keeps_alive=True),
            Client(tls, is_https=True, is_post=True),
        ]

    def remove(self) -> None:
        with contextlib.suppress(ProofError):
            self.kit("compose", "down", "--volumes", "--remove-orphans", "--timeout", "5")
        self.remove_images(self.environment)

    def remove_images(self, environment: Mapping[str, str]) -> None:
        """Those of the site, by the engine that these variables of docker name."""
        words = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"--filter=reference={self.name}*")
        with contextlib.suppress(ProofError):
            if names := self.docker(*words, environment=environment).split():
                self.docker("image", "rm", "--force", *names, environment=environment)


KEPT = str.split(
    "PATH HOME DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT SSH_AUTH_SOCK XDG_RUNTIME_DIR BASE_IMAGE LANG COMPILED"
)
"""Variables of this machine; the site's own .env does not apply."""

Kind = TypeVar("Kind", bound=Site)


@contextlib.contextmanager
def temporary(environment: Mapping[str, str], kind: type[Kind]) -> Iterator[Kind]:
    """Removes everything at the end. Raises KitError without docker."""
    if not shutil.which("docker"):
        raise KitError("docker is not installed")
    with tempfile.TemporaryDirectory(prefix="ropewalk-prove-") as name:
        site = kind(Path(name), environment)
        try:
            yield site
        finally:
            site.remove()
