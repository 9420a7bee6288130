"""TARGET: what a site is deployed to."""

from collections.abc import Mapping

from kit import env_files
from kit.errors import KitError

COMPOSE, SWARM = "compose", "swarm"


def chosen(environment: Mapping[str, str]) -> str:
    """Given to make, or in .env. Raises KitError."""
    target = env_files.read_kit(environment).get("TARGET") or COMPOSE
    if target not in (COMPOSE, SWARM):
        raise KitError(f"TARGET={target!r}: must be {COMPOSE} or {SWARM}")
    return target
