"""Brings a project up as a new user does: `make adopt`, then `make run` or `make up`, in a copy of this checkout."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.helpers.containers import clean_environment
from tests.helpers.machine import BASE_IMAGE
from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port
from tests.projects.shapes import Shape
from tests.projects.site import ProjectError, Site, Written, add_row, check_kept, check_stylesheet

NEEDED = (
    "Dockerfile",
    "Makefile",
    ".dockerignore",
    "docker-compose.yml",
    "deploy",
    "nginx",
    "sample_project",
    "server",
)
"""What of the checkout a project needs."""

SECONDS = {"make adopt": 60, "make run": 600, "make up": 900, "make down": 120}
"""How long a command may take."""

BACKENDS = ("ropewalk", "gunicorn")


class Trial:
    """A project beside a copy of the checkout, under a name that nothing else on the machine has."""

    def __init__(self, shape: Shape, folder: Path, tools: Path | None = None) -> None:
        """`tools`: a copy of the tools of `make run`, from a trial before this one."""
        self.shape = shape
        self.checkout = folder / "checkout"
        copy_checkout(self.checkout)
        if tools and tools.exists():
            shutil.copytree(tools, self.tools, symlinks=True)
        self.name = f"{shape.name}-{secrets.token_hex(4)}"
        self.project = shape.copy(folder / self.name, lock)
        self.ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
        self.found = ""
        """What `make adopt` printed."""

    @property
    def tools(self) -> Path:
        """The environment with uv that `make run` creates: seconds, for each checkout."""
        return self.checkout / ".run/tools"

    def adopt(self) -> None:
        self.found = self._make("adopt", f"PROJECT=../{self.project.name}")

    def facts(self) -> str:
        """The dependencies and the application that `make adopt` found."""
        facts = dict(re.findall(r"^(dependencies|application) +(\S+)", self.found, re.M))
        return ", ".join(value.rstrip(":") for value in facts.values())

    @contextlib.contextmanager
    def running(self) -> Iterator[Site]:
        """`make run`; ends with its process group."""
        port = free_port()
        log = self.checkout / "run.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["make", "run", f"PORT={port}"],
                cwd=self.checkout,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            site = Site(f"http://127.0.0.1:{port}", is_behind_https=self.shape.is_https_only)
            deadline = time.monotonic() + SECONDS["make run"]
            while not site.is_up():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ProjectError("make run: does not serve", log.read_text(errors="replace"))
                time.sleep(0.1)
            yield site
        except ProjectError as error:
            error.log = error.log or log.read_text(errors="replace")
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)

    def up(self, backend: str) -> Site:
        self._make("up", BACKEND=backend)
        if self.shape.is_https_only:
            return Site(f"https://127.0.0.1:{self.ports['HTTPS_PORT']}")
        return Site(f"http://127.0.0.1:{self.ports['HTTP_PORT']}")

    def down(self) -> None:
        self._make("down")

    def remove(self) -> None:
        """The containers, volumes, networks and images."""
        command = [
            sys.executable,
            "-I",
            "deploy/kit",
            "compose",
            "down",
            "--volumes",
            "--remove-orphans",
            "--rmi",
            "all",
        ]
        subprocess.run(
            command, cwd=self.checkout, env=self._environment(), capture_output=True, check=False, timeout=300
        )
        listed = run_docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{self.name}-app").split()
        if listed:  # the tags of the releases that are kept
            run_docker("image", "rm", "--force", *listed)

    def logs(self) -> str:
        command = [sys.executable, "-I", "deploy/kit", "compose", "logs", "--no-color", "--tail", "40"]
        done = subprocess.run(
            command, cwd=self.checkout, env=self._environment(), capture_output=True, check=False, timeout=60, text=True
        )
        return done.stdout

    def _make(self, target: str, *arguments: str, **variables: str) -> str:
        command = f"make {target}"
        try:
            done = subprocess.run(
                ["make", "--no-print-directory", target, *arguments],
                cwd=self.checkout,
                env=self._environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=SECONDS[command],
            )
        except subprocess.TimeoutExpired as error:
            raise ProjectError(f"{command}: has not ended after {SECONDS[command]} s", str(error.output)) from None
        if done.returncode:
            raise ProjectError(f"{command}: exit status {done.returncode}", done.stdout)
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {
            **clean_environment(),
            "PYTHON": sys.executable,
            "BASE_IMAGE": BASE_IMAGE,
            **self.ports,
            **pips(),
            **self.shape.variables,
        }


def run_docker(*arguments: str) -> str:
    """The standard output; nothing if it fails."""
    done = subprocess.run(["docker", *arguments], capture_output=True, check=False, timeout=120, text=True)
    return done.stdout


def pips() -> dict[str, str]:
    """Where this machine has its packages from."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def copy_checkout(target: Path) -> None:
    """What git tracks of it, as it is in the work tree."""
    command = ["git", "ls-files", "-z", "--", *NEEDED]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True, timeout=60).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name)


def lock(arguments: tuple[str, ...], folder: Path) -> None:
    """Writes a project's lock, with uv."""
    command = [str(Path(sys.executable).with_name("uv")), *arguments]
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
    if "PIP_CERT" in os.environ:
        environment.setdefault("SSL_CERT_FILE", os.environ["PIP_CERT"])
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, text=True, timeout=300
    )
    if done.returncode:
        raise ProjectError(f"uv {' '.join(arguments)}: exit status {done.returncode}", done.stderr)


def prove(site: Site, shape: Shape) -> Written:
    """It serves, has its stylesheet, and writes."""
    check_stylesheet(site, shape.folder)
    return add_row(site, has_uploads=shape.has_uploads)


def try_run(trial: Trial) -> None:
    """Twice: what was written is there again."""
    with trial.running() as site:
        written = prove(site, trial.shape)
    with trial.running() as site:
        check_kept(site, written)


def try_up(trial: Trial, backends: Sequence[str]) -> Iterator[tuple[str, ProjectError | None]]:
    """`make up` with each backend in turn, and `make down` between them: yields each but the last, and what failed.

    Each serves and writes, and the next one has to have what it has written. A start takes most of the time: this needs
    one more than there are backends.
    """
    writer, written = "", Written(0)
    for backend in backends[:-1]:
        try:
            site = trial.up(backend)
            if writer:
                yield writer, _failure(trial, lambda: check_kept(site, written))  # noqa: B023 - called at once
                writer = ""
            written = prove(site, trial.shape)
            writer = backend
            trial.down()
        except ProjectError as error:
            error.log = error.log or trial.logs()
            yield backend, error
            writer = "" if writer == backend else writer
    if writer:
        yield writer, _failure(trial, lambda: check_kept(trial.up(backends[-1]), written))


def _failure(trial: Trial, check: Callable[[], object]) -> ProjectError | None:
    try:
        check()
    except ProjectError as error:
        error.log = error.log or trial.logs()
        return error
    return None
