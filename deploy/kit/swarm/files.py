"""Files that Swarm brings to its containers: secrets, and configs for what is public.

Neither can change, so that each has a digest of its content in its name: a new content is a new one, and a service that
goes back to its former state finds the former one.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kit.errors import KitError
from kit.paths import ROOT
from kit.variables import declared

USER = "10001"
MOST_OCTETS = 500_000
"""Of one secret or config: Swarm's own limit is 500 KB."""

ENVIRONMENT = "environment"
"""The secret with the application's variables: NAME=value, each ended by a NUL (deploy/app/kit.sh, kit_given)."""

ALSO_KIT = frozenset(
    ("NODE_NAME", "REPLICA_NAME", "PROJECT_ID", "STOP_GRACE_PERIOD", "COMPOSE_PROFILES", "CRON", "ASSETS_DIR")
)
"""Variables of the kit that have no default in deploy/app/variables."""

OF_SWARM = re.compile(r"/run/secrets/([A-Za-z0-9_.-]{1,64})")
"""As in SECRET_KEY_FILE=/run/secrets/shop_key: a secret that somebody has created."""


class File(NamedTuple):
    kind: str
    """secret or config"""
    name: str
    """In the swarm: with a digest, unless somebody else has created it."""
    target: str
    """Its place in the container."""
    content: bytes | None
    """None: somebody else has created it."""

    @property
    def mount(self) -> dict[str, Any]:
        return mount(self.name, self.target, 0o400 if self.kind == "secret" else 0o444)


def mount(name: str, target: str, mode: int = 0o400) -> dict[str, Any]:
    """In a service of the stack file."""
    return {"source": name, "target": target, "uid": USER, "gid": USER, "mode": mode}


def make(stack: str, kind: str, name: str, target: str, content: bytes) -> File:
    """Raises KitError for one that is too large."""
    if len(content) > MOST_OCTETS:
        raise KitError(f"{name}: has {len(content)} octets, and Swarm's {kind}s at most {MOST_OCTETS}")
    digest = hashlib.sha256(content).hexdigest()[:12]
    start = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{stack}_{name}")[:51]  # 64 with the digest
    return File(kind, f"{start}-{digest}", target, content)


def split(environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What everybody may read who can list services, and what is kept secret: the project's own variables."""
    public = {name: value for name, value in environment.items() if name in declared() or name in ALSO_KIT}
    return public, {name: value for name, value in environment.items() if name not in public}


def of_application(stack: str, environment: Mapping[str, str]) -> list[File]:
    """`environment`: the secret part."""
    content = b"".join(f"{name}={value}\0".encode() for name, value in sorted(environment.items()))
    found = [make(stack, "secret", ENVIRONMENT, ENVIRONMENT, content)] if content else []
    for name, value in sorted(environment.items()):
        if name.endswith("_FILE") and (named := OF_SWARM.fullmatch(value)):
            found.append(File("secret", named[1], named[1], None))
    return found


def of_nginx(stack: str, values: Mapping[str, str]) -> list[File]:
    """The certificate in TLS_DIR and the pages in ERROR_PAGES, if these are folders. Raises KitError."""
    found = []
    if folder := _folder(values.get("TLS_DIR", "")):
        for name in ("fullchain.pem", "privkey.pem"):
            found.append(make(stack, "secret", name, f"/srv/tls/{name}", _read(folder / name, "TLS_DIR")))
    if folder := _folder(values.get("ERROR_PAGES", "")):
        for path in sorted(folder.iterdir()):
            if path.is_file():
                target = f"/kit/nginx/pages/own/{path.name}"
                found.append(make(stack, "config", f"page-{path.name}", target, _read(path, "ERROR_PAGES")))
    return found


def _folder(given: str) -> Path | None:
    """The folder; None if `given` is the name of a volume. As with compose, a path begins with `.`, `/` or `~`."""
    return (ROOT / Path(given).expanduser()) if given.startswith((".", "/", "~")) else None


def _read(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KitError(f"{variable}: {path}: {error.strerror}") from None
