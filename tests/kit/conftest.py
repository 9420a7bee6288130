"""Images and containers for the kit's tests. Whatever a test starts has its own names and ports and ends with it."""

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:trixie-slim")
PLAIN_PROJECT = {"PROJECT_DIR": "./tests/kit/plain_project", "WSGI_APP": "wsgi:application"}


def run(*command: str, check: bool = True, timeout: float = 120, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; its output is in the failure if it fails."""
    done = subprocess.run(
        command, cwd=REPOSITORY, text=True, capture_output=True, timeout=timeout, check=False, **options
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def wait_until(condition: Callable[[], object], what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{timeout:.0f} s passed, and still not: {what}")
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Stack:
    """One `docker compose` project."""

    name: str
    environment: Mapping[str, str]

    def compose(self, *arguments: str, check: bool = True, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        # a developer's own .env and variables must not reach the tests
        command = ["docker", "compose", "--env-file", "/dev/null", "--project-name", self.name, *arguments]
        return run(*command, check=check, timeout=timeout, env=dict(self.environment))

    def up(self) -> None:
        self.compose("up", "--no-build", "--wait", "--wait-timeout", "120")

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def logs(self, service: str) -> str:
        # not `compose logs`: it puts terminal codes between the lines
        done = run("docker", "logs", self.container(service))
        return done.stdout + done.stderr

    @property
    def port(self) -> int:
        return self._published("8080")

    @property
    def tls_port(self) -> int:
        return self._published("8443")

    def _published(self, port: str) -> int:
        return int(self.compose("port", "nginx", port).stdout.strip().rpartition(":")[2])

    def request(
        self,
        target: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 60,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, target, body=content, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.msg, response.read())


def clean_environment() -> dict[str, str]:
    """This process's variables without those that the compose file reads."""
    kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def build(image: str, *, dockerfile: str = "Dockerfile", **arguments: str) -> str:
    build_arguments = [f"--build-arg={name}={value}" for name, value in {"BASE_IMAGE": BASE_IMAGE, **arguments}.items()]
    run("docker", "build", "--quiet", "--file", dockerfile, "--tag", image, *build_arguments, ".", timeout=900)
    return image


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, str]]:
    """The three images that the tests use, built once: the sample project's, the plain project's, nginx."""
    suffix = secrets.token_hex(4)
    built: dict[str, str] = {}
    try:
        built["nginx"] = build(f"ropewalk-test-nginx:{suffix}", dockerfile="nginx/Dockerfile")
        built["plain"] = build(f"ropewalk-test-plain:{suffix}", PROJECT_DIR=PLAIN_PROJECT["PROJECT_DIR"])
        built["sample"] = build(f"ropewalk-test-sample:{suffix}")
        yield built
    finally:
        for image in built.values():
            run("docker", "image", "rm", "--force", image, check=False)


@pytest.fixture(scope="session")
def acme_images() -> Iterator[Mapping[str, str]]:
    """The ACME client's image, and an issuer's."""
    suffix = secrets.token_hex(4)
    built: dict[str, str] = {}
    try:
        for name, dockerfile in (("acme", "deploy/acme/Dockerfile"), ("pebble", "tests/kit/pebble/Dockerfile")):
            built[name] = build(f"ropewalk-test-{name}:{suffix}", dockerfile=dockerfile)
        yield built
    finally:
        for image in built.values():
            run("docker", "image", "rm", "--force", image, check=False)


@contextlib.contextmanager
def compose_project(images: Mapping[str, str], project: str, **variables: str) -> Iterator[Stack]:
    name = f"ropewalk-test-{secrets.token_hex(4)}"
    environment = clean_environment() | {
        "APP_IMAGE": images[project],
        "NGINX_IMAGE": images["nginx"],
        "BASE_IMAGE": BASE_IMAGE,
        "HTTP_PORT": "0",
        "HTTPS_PORT": "0",
        **(PLAIN_PROJECT if project == "plain" else {}),
        **variables,
    }
    stack = Stack(name, environment)
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


@pytest.fixture
def new_stack(images: Mapping[str, str]) -> Iterator[Callable[..., Stack]]:
    """new_stack("plain", BACKEND=...): a compose project of this test's own, not started yet."""
    with contextlib.ExitStack() as stacks:
        yield lambda project, **variables: stacks.enter_context(compose_project(images, project, **variables))


@pytest.fixture(scope="module")
def start_stack(images: Mapping[str, str]) -> Iterator[Callable[..., Stack]]:
    """`new_stack` for a whole module."""
    with contextlib.ExitStack() as stacks:
        yield lambda project, **variables: stacks.enter_context(compose_project(images, project, **variables))


@pytest.fixture(scope="module", params=["gunicorn", "ropewalk"])
def plain(images: Mapping[str, str], request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The plain project, up, on one backend and then on the other. A test that breaks it makes a `new_stack`."""
    with compose_project(images, "plain", BACKEND=request.param) as stack:
        stack.up()
        yield stack


@pytest.fixture
def compose_file() -> dict[str, Any]:
    """docker-compose.yml as data, its ${VARIABLES} as they stand."""
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


@pytest.fixture
def execute() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run


@pytest.fixture
def wait() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def container(images: Mapping[str, str]) -> Iterator[Callable[..., str]]:
    """Starts containers, with no compose, and removes them at the end: container(image, *arguments, options=[...])."""
    started: list[str] = []

    def start(image: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        name = f"ropewalk-test-{secrets.token_hex(4)}"
        started.append(name)
        hardened = ["--read-only", "--tmpfs", "/tmp:size=64m,mode=1777,noexec,nosuid,nodev", "--cap-drop", "ALL"]
        run("docker", "run", "--detach", "--name", name, *hardened, *options, images[image], *arguments)
        return name

    yield start
    for name in started:
        run("docker", "rm", "--force", "--volumes", name, check=False)


@pytest.fixture
def plain_container(container: Callable[..., str]) -> Callable[..., str]:
    def start(*arguments: str, options: tuple[str, ...] = ()) -> str:
        return container("plain", *arguments, options=("--env", "WSGI_APP=wsgi:application", *options))

    return start
