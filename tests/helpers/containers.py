"""Images and containers of the kit. Whatever a test starts has its own names and ports, and ends with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.helpers.machine import BASE_IMAGE
from tests.helpers.paths import REPOSITORY

PLAIN_PROJECT = {"PROJECT_DIR": "./tests/kit/plain_project", "WSGI_APP": "wsgi:application"}


def rooms(*folders: str, size: str = "128m") -> tuple[str, ...]:
    """Options of `docker run` that mount a tmpfs, as docker-compose.yml does."""
    return tuple(f"--tmpfs={folder}:size={size},mode=1777,noexec,nosuid,nodev" for folder in folders)


NGINX_ROOMS = rooms("/tmp", "/srv/bodies", "/srv/responses", size="384m")  # at least: less is a warning


def run(
    *command: str,
    check: bool = True,
    timeout: float = 120,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in the repository; a failure shows its output."""
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, input=input, capture_output=True, timeout=timeout, check=False
    )
    ended = subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
    if check and ended.returncode != 0:
        raise AssertionError(f"{' '.join(command)} exited with {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
    return ended


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
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Stack:
    """One `docker compose` project."""

    name: str
    environment: Mapping[str, str]

    def compose(
        self, *arguments: str, check: bool = True, timeout: float = 180, input: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        # A developer's own .env and variables must not reach the tests.
        command = ["docker", "compose", "--env-file", "/dev/null", "--project-name", self.name, *arguments]
        return run(*command, check=check, timeout=timeout, env=self.environment, input=input)

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


class Build(Protocol):
    """Builds an image, with these build arguments, and returns its tag."""

    def __call__(self, name: str, *, dockerfile: str = "Dockerfile", target: str = "", **arguments: str) -> str: ...


@contextlib.contextmanager
def image_builder() -> Iterator[Build]:
    """Builds images with tags that no other test run has, and removes them at the end."""
    suffix = secrets.token_hex(4)
    built: list[str] = []

    def build(name: str, *, dockerfile: str = "Dockerfile", target: str = "", **arguments: str) -> str:
        tag = f"ropewalk-test-{name}:{suffix}"
        options = [f"--build-arg={key}={value}" for key, value in {"BASE_IMAGE": BASE_IMAGE, **arguments}.items()]
        options += [f"--target={target}"] if target else []
        run("docker", "build", "--quiet", "--file", dockerfile, "--tag", tag, *options, ".", timeout=900)
        built.append(tag)
        return tag

    try:
        yield build
    finally:
        for tag in built:
            run("docker", "image", "rm", "--force", tag, check=False)


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
