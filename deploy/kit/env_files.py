"""The two files of variables in the checkout: .env is the kit's, .env.project the project's own."""

from collections.abc import Container, Mapping
from pathlib import Path

from kit import dotenv
from kit.errors import KitError
from kit.paths import ROOT

PROJECT_FILE = ".env.project"

SHARED_WITH_NGINX = (
    "HTTPS_ONLY",
    "HSTS_SECONDS",
    "MAX_BODY_SIZE",
    "REQUEST_TIMEOUT",
    "SERVER_NAME",
    "STOP_GRACE_PERIOD",
)
"""nginx reads .env alone: in .env.project these would reach the application, and nginx would have another value."""


def read_kit(environment: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """The variables that docker-compose.yml is filled with: `environment`, and .env for what is not set there.

    compose's own COMPOSE_ENV_FILES names other files, separated by commas. Raises KitError for a file with an error.
    """
    values: dict[str, str] = {}
    for name in (environment.get("COMPOSE_ENV_FILES") or ".env").split(","):
        values |= dotenv.read(root / name, {**values, **environment})
    return values | dict(environment)


def read_project(kit: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """The variables of .env.project; {} without one. `kit` is what read_kit returned. Raises KitError."""
    values = dotenv.read(root / PROJECT_FILE, kit)
    for name in SHARED_WITH_NGINX:
        if name in values and values[name] != kit.get(name):
            raise KitError(f"{PROJECT_FILE}: {name} belongs into .env: nginx needs it too")
    return values


def decider(name: str, own: Container[str], *, is_project: bool = False) -> str:
    """The file to set a variable in: .env.project, which comes first, if it has it (`own`: the names of its variables)
    or if the variable is the project's alone."""
    return PROJECT_FILE if is_project or name in own else ".env"
