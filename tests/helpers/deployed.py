"""A project of a test's own that the kit's command deploys."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.helpers.containers import Stack, clean_environment, run
from tests.helpers.machine import BASE_IMAGE
from tests.helpers.paths import REPOSITORY

KIT = (sys.executable, "-I", "deploy/kit")


@dataclass
class Deployed:
    """The folder of the project, and what it is deployed with."""

    folder: Path
    stack: Stack
    variables: dict[str, str] = field(default_factory=dict)

    def kit(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.stack.environment, **self.variables, **variables}
        return run(*KIT, *arguments, check=check, timeout=300, env=environment)


Site = TypeVar("Site", bound=Deployed)


@contextlib.contextmanager
def deployed(kind: type[Site] = Deployed, **variables: str) -> Iterator[Site]:  # type: ignore[assignment]  # the default of a type variable
    """An empty folder, and a compose project for it. All of it is removed at the end: images, volumes, releases."""
    name = f"ropewalk-test-{secrets.token_hex(4)}"
    # inside of the checkout: older engines build from no other folder
    folder = REPOSITORY / "tests/kit" / f"deployed-{secrets.token_hex(4)}"
    environment = clean_environment() | {
        "BASE_IMAGE": BASE_IMAGE,
        "COMPOSE_ENV_FILES": "/dev/null",
        "COMPOSE_PROJECT_NAME": name,
        "PROJECT_DIR": f"./{folder.relative_to(REPOSITORY)}",
        "PROJECT_ID": folder.name,  # as `make adopt` writes it: plain `docker compose` names the folder otherwise
        "HTTP_PORT": "0",
        "HTTPS_PORT": "0",
        **dict.fromkeys(("RATE_LIMIT", "CONNECTION_LIMIT", "BODY_LIMIT"), "0"),
        **variables,
    }
    site = kind(folder, Stack(name, environment))
    folder.mkdir()
    try:
        yield site
    finally:
        shutil.rmtree(folder)
        site.stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
        listed = run("docker", "ps", "--all", "--quiet", "--filter", f"name={name}").stdout.split()
        run("docker", "rm", "--force", *listed, check=False)
        tags = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={name}-*")
        run("docker", "image", "rm", "--force", *tags.stdout.split(), check=False)
