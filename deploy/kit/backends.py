"""The servers that can run a project: the folders in deploy/backends."""

from collections.abc import Mapping

from kit.errors import KitError
from kit.paths import BACKENDS
from kit.variables import read


def known() -> list[str]:
    return sorted(path.parent.name for path in BACKENDS.glob("*/command"))


def chosen(environment: Mapping[str, str]) -> str:
    backend = read("BACKEND", environment)
    if backend not in known():
        raise KitError(f"BACKEND={backend!r}: must be one of {', '.join(known())}")
    return backend
