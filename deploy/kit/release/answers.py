"""What a project said about itself while its image was built: /kit/project.json, made by deploy/app/prepare.py."""

import json
from collections.abc import Mapping
from typing import Any

from kit.release.containers import Container
from kit.release.engine import Done, Engine

FILE = "/kit/project.json"
PUBLISHED = "/srv/assets/.site"
"""In nginx's container: what the last release said that published its files (deploy/app/release.py)."""

Answer = Mapping[str, Any]


def of_both(engine: Engine, container: Container, image: str) -> tuple[Answer, Answer]:
    """Of a container that runs, and of an image; empty where one does not say."""
    before, after = engine.together(
        [
            ["exec", container.identifier, "cat", FILE],
            ["run", "--rm", "--network", "none", "--entrypoint", "cat", image, FILE],
        ],
        60,
    )
    return read(before), read(after)


def of_images(engine: Engine, *names: str) -> list[Answer]:
    """Of images; empty where one does not say."""
    calls = [["run", "--rm", "--network", "none", "--entrypoint", "cat", name, FILE] for name in names]
    return [read(done) for done in engine.together(calls, 60)]


def read(printed: Done) -> Answer:
    try:
        found = json.loads(printed.output) if printed.status == 0 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_published(answer: Answer, published: str) -> bool:
    """Whether all files of the image are what nginx serves already. `published`: the text of PUBLISHED."""
    digest = answer.get("files_digest")
    return bool(digest) and f"FILES={digest}" in published.splitlines()
