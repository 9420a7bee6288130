"""The variables of `make run`: those of the shell, of .env and of .env.project, in the order that compose has.

.env.project comes first, then the shell, then those of .env that the application gets in its container too
(deploy/compose/passed.env). Both files belong to the project that .env names: another PROJECT_DIR in the shell gets
nothing of them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kit import env_files
from kit.compose import DEFAULT_PROJECT, find_project
from kit.paths import ROOT
from kit.variables import read as read_variable

PASSED = ROOT / "deploy/compose/passed.env"

FOR_THE_SITE = frozenset(("SERVER_NAME", "HTTPS_ONLY", "HSTS_SECONDS", "BEHIND_PROXY", "WEB_CONCURRENCY"))
"""Of those in passed.env, what is about nginx in front of the application, or about the container's processors. Without
nginx, HTTPS_ONLY=1 would redirect every request to an address at which nothing listens."""

SECRET_FILES = ("SECRET_KEY", "DATABASE_URL")
"""NAME_FILE names a file with the value, as in the container (deploy/app/entrypoint)."""

IN_THE_CONTAINER = re.compile(r"((?:sqlite:///)?)(/data|/srv/media)(?=/|$)")
"""A path in one of the container's volumes, or an SQLite file there as a URL."""


class LocalEnvironment(NamedTuple):
    folder: Path
    """Of the project."""
    kit: Mapping[str, str]
    """What the kit's own variables are read from."""
    project: Mapping[str, str]
    """What the project's processes get, and what the detector reads."""
    own: Mapping[str, str]
    """Of `project`, what comes from .env.project."""
    notes: tuple[str, ...]
    """What to say about variables that are not used."""
    is_adopted: bool
    """Whether .env and .env.project are this project's."""

    def with_databases(self, proposed: Mapping[str, str]) -> "LocalEnvironment":
        """With paths in the data volume for variables that nobody has set, as in .env.project."""
        return self._replace(project={**self.project, **proposed}, own={**self.own, **proposed})


def read(shell: Mapping[str, str], root: Path = ROOT) -> LocalEnvironment:
    """Raises KitError for a file with an error, and if there is no such folder."""
    files = env_files.read_kit({name: value for name, value in shell.items() if name != "PROJECT_DIR"}, root)
    chosen = files.get("PROJECT_DIR") or DEFAULT_PROJECT
    given = shell.get("PROJECT_DIR") or chosen
    folder = find_project(given, root)
    if folder != (root / chosen).resolve():
        present = [name for name in (".env", env_files.PROJECT_FILE) if (root / name).exists()]
        note = f"not used, since they belong to {chosen}: {' and '.join(present)}"
        return LocalEnvironment(folder, shell, shell, {}, (note,) if present else (), is_adopted=False)
    values = files | {"PROJECT_DIR": given}
    own = env_files.read_project(values, root)
    hidden = sorted(name for name in own if shell.get(name, own[name]) != own[name])
    notes = [f"not used from the shell, since {env_files.PROJECT_FILE} comes first: {', '.join(hidden)}"]
    passed = {name: values[name] for name in passed_names() if values.get(name)}
    project = {**passed, **shell, **own}
    return LocalEnvironment(folder, values, project, own, tuple(notes if hidden else ()), is_adopted=True)


def passed_names() -> Iterator[str]:
    """The variables of .env that the project's processes get."""
    for line in PASSED.read_text(encoding="utf-8").splitlines():
        name = line.strip()
        if name and not name.startswith("#") and name not in FOR_THE_SITE and not name.endswith("_FILE"):
            yield name


def complete(environment: LocalEnvironment, folders: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """`project` with what the container's entrypoint adds, and with this machine's folders; and what to say about it.

    `folders` has DATA_DIR, MEDIA_ROOT and STATIC_ROOT.
    """
    values, notes = dict(environment.project), list[str]()
    targets = {"/data": folders["DATA_DIR"], "/srv/media": folders["MEDIA_ROOT"]}
    for name, value in environment.own.items():
        local = IN_THE_CONTAINER.sub(lambda found: f"{found[1]}{targets[found[2]]}", value, count=1)
        if IN_THE_CONTAINER.match(value) and local != value:
            values[name] = local
            notes.append(f"{name} names a volume of the container; here it is {local}")
    values |= folders
    for name in SECRET_FILES:
        path = values.pop(f"{name}_FILE", "")
        if not path or values.get(name):
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            notes.append(f"{name}_FILE={path} is not used: {error.strerror}")
    if not values.get("ALLOWED_HOSTS"):
        values["ALLOWED_HOSTS"] = read_variable("ALLOWED_HOSTS", values)
    return values, notes
