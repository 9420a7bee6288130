"""Names of compose projects, and ports of this machine, that nothing else has: `make adopt` writes them into .env."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import project_identity
from kit import clashes, compose, dotenv
from kit.errors import KitError

PORTS = range(8080, 8180)


def find_name(
    wanted: str, own: str, containers: Sequence[clashes.Container], environment: Mapping[str, str], root: Path
) -> str:
    """`wanted`, or with a number if another checkout has containers of that name, or another project an image; or if a
    checkout beside this one has the name in its .env: plain `docker compose up` would replace its containers."""
    others = {each.project for each in containers if each.folder and Path(each.folder) != root}
    others |= {each for each in map(_name_in, _beside(root)) if each}
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, 100)))
    return next(each for each in names if each not in others and _is_free(f"{each}-app", own, environment))


def _beside(root: Path) -> Iterator[Path]:
    """Other checkouts of the kit in the same folder."""
    for path in sorted(root.parent.glob("*/deploy/kit")):
        if (checkout := path.parent.parent) != root and os.access(checkout / ".env", os.R_OK):
            yield checkout


def _name_in(checkout: Path) -> str:
    """The compose project of another checkout; "" if its .env cannot be understood."""
    try:
        return dotenv.read(checkout / ".env", {}).get("COMPOSE_PROJECT_NAME", "")
    except KitError:
        return ""


def _is_free(image: str, own: str, environment: Mapping[str, str]) -> bool:
    owner = compose.owner_of(image, environment)
    return not owner or project_identity.is_same(owner, own)


def find_port(
    first: int, name: str, containers: Sequence[clashes.Container], taken: Sequence[int], *, is_here: bool = True
) -> int:
    """`first`, or another port that is free or published by the project itself."""
    ports: list[int] = [first, *PORTS]
    for port in ports:
        owners = {each.project for each in containers if clashes.publishes(each, port)}
        if port in taken or owners - {name}:
            continue
        if owners or not is_here or not clashes.is_in_use("127.0.0.1", port):
            return port
    raise KitError(f"no port from {PORTS[0]} to {PORTS[-1]} is free")
