"""Images and containers that end with the test, the module or the session."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.containers import (
    NGINX_ROOMS,
    PLAIN_PROJECT,
    Stack,
    clean_environment,
    compose_project,
    image_builder,
    rooms,
    run,
    wait_until,
)
from tests.helpers.paths import REPOSITORY


@pytest.fixture(scope="session")
def images() -> Iterator[Mapping[str, str]]:
    """The images that the tests use, built once: the sample project's, the plain project's, nginx."""
    with image_builder() as build:
        yield {
            "nginx": build("nginx", dockerfile="nginx/Dockerfile"),
            "plain": build("plain", PROJECT_DIR=PLAIN_PROJECT["PROJECT_DIR"]),
            "sample": build("sample"),
        }


@pytest.fixture(scope="session")
def acme_images() -> Iterator[Mapping[str, str]]:
    """The ACME client's image, and an issuer's."""
    with image_builder() as build:
        yield {
            "acme": build("acme", dockerfile="deploy/acme/Dockerfile"),
            "pebble": build("pebble", dockerfile="tests/kit/pebble/Dockerfile"),
        }


@pytest.fixture(scope="session")
def service_images() -> Iterator[Mapping[str, str]]:
    """Those of the profiles postgres, redis, backup and monitor, under the variables that name them."""
    with image_builder() as build:
        yield {
            f"{name.upper()}_IMAGE": build(name, dockerfile=f"deploy/{name}/Dockerfile")
            for name in ("postgres", "redis", "backup", "monitor")
        }


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
        hardened = ["--read-only", *(NGINX_ROOMS if image == "nginx" else rooms("/tmp")), "--cap-drop", "ALL"]
        run("docker", "run", "--detach", "--name", name, *hardened, *options, images.get(image, image), *arguments)
        return name

    yield start
    for name in started:
        run("docker", "rm", "--force", "--volumes", name, check=False)


@pytest.fixture
def plain_container(container: Callable[..., str]) -> Callable[..., str]:
    def start(*arguments: str, options: tuple[str, ...] = ()) -> str:
        return container("plain", *arguments, options=("--env", "WSGI_APP=wsgi:application", *options))

    return start


@pytest.fixture
def image_of(images: Mapping[str, str]) -> Iterator[Callable[..., str]]:
    """image_of(folder, VARIABLE=value): the application image of a project, built by the kit's own command."""
    built: list[str] = []

    def build_project(folder: Path, **variables: str) -> str:
        image = f"ropewalk-test-own:{secrets.token_hex(4)}"
        built.append(image)
        environment = {**clean_environment(), "APP_IMAGE": image, "PROJECT_DIR": str(folder), **variables}
        command = [sys.executable, "-I", str(REPOSITORY / "deploy/kit"), "compose", "build", "app"]
        run(*command, env=environment, timeout=600)
        return image

    yield build_project
    for image in built:
        run("docker", "image", "rm", "--force", image, check=False)
