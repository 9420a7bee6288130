"""TARGET: what a site is deployed to."""

import importlib
from collections.abc import Mapping
from types import ModuleType

from kit import env_files
from kit.errors import KitError

COMPOSE, SWARM, KUBERNETES = TARGETS = ("compose", "swarm", "kubernetes")


def chosen(environment: Mapping[str, str]) -> str:
    """Given to make, or in .env. Raises KitError."""
    target = env_files.read_kit(environment).get("TARGET") or COMPOSE
    if target not in TARGETS:
        raise KitError(f"TARGET={target!r}: must be one of {', '.join(TARGETS)}")
    return target


def module(target: str) -> ModuleType:
    """The commands for another engine: call and print_stack. Imported only when it is chosen."""
    return importlib.import_module(f"kit.{target}.command")
