"""Which migrations an image has: the list that its build made (deploy/app/project_answer.py), of Django or Alembic."""

import json
from collections.abc import Iterable

from kit.release.containers import Container
from kit.release.engine import Engine

FILE = "/kit/project.json"
SHOWN = 10
"""Names in a message; of the others, only the number."""


def of_container(engine: Engine, container: Container) -> set[str] | None:
    """None: the image does not say."""
    done = engine.run("exec", container.identifier, "cat", FILE)
    return read(done.output) if done.status == 0 else None


def of_image(engine: Engine, image: str) -> set[str] | None:
    """None: the image does not say."""
    done = engine.run("run", "--rm", "--network", "none", "--entrypoint", "cat", image, FILE)
    return read(done.output) if done.status == 0 else None


def read(text: str) -> set[str] | None:
    """From project.json; an image of an earlier version of the kit has no list."""
    try:
        found = json.loads(text).get("migrations")
    except (ValueError, AttributeError):
        return None
    return set(map(str, found)) if isinstance(found, list) else None


def added(before: set[str] | None, after: set[str] | None) -> list[str]:
    """Those that `after` has and `before` has not; none if one of them is not known."""
    return sorted(after - before) if before is not None and after is not None else []


def named(names: Iterable[str]) -> str:
    """For a message: shop.0002_price, shop.0003_tax and 4 more."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
