"""What `make run` does with an installed project before it serves it.

As an image's build and a release do, it asks the project about itself, checks its database, migrates it, and collects
the static files.
"""

import re
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ask_project
import command_words
import first_start
import reasons
import release
from kit import adopt, dotenv, env_files, processes
from kit.console import step
from kit.errors import KitError
from kit.paths import APP
from kit.project.facts import Project
from prepare import SERVED

PATIENCE = 10
"""Seconds for a database server: on a developer's machine it runs already, or has to be started by hand."""

LOCAL_HOSTS = {"*", "127.0.0.1", "localhost", ".localhost"}


@dataclass(frozen=True, slots=True)
class Installed:
    """A project with its packages in a virtual environment."""

    project: Project
    python: Path
    folder: Path
    """Where its commands run: manage.py's, or the application's."""
    home: Path
    """For what is created here for this project."""
    environment: Mapping[str, str]
    is_adopted: bool
    """Whether .env.project is this project's."""


def prepare(installed: Installed) -> tuple[dict[str, str], tuple[str, ...]]:
    """The environment for the server, and its options. Raises KitError, or exits with the status of what has failed."""
    kept = installed.home / "secrets"
    known = dotenv.read(kept, {}) | dict(installed.environment)
    installed, answer = _ask(replace(installed, environment=known), kept)
    for note in filter(None, (hosts_note(answer), *answer.get("notes", ()))):
        step(note)
    migrate(installed, answer)
    return dict(installed.environment), (*static_options(installed, answer), *media_options(installed, answer))


def _ask(installed: Installed, kept: Path) -> tuple[Installed, dict[str, Any]]:
    try:
        answer: dict[str, Any] = {
            **ask_project.ask(installed.folder, installed.python, installed.environment, top=installed.project.folder)
        }
    except RuntimeError as error:
        if reason := known_reason(str(error), installed):
            raise KitError(f"the application cannot be imported: {reason}") from None
        if installed.project.django:
            raise KitError(f"the project cannot be imported: {error}") from None
        step(f"The application cannot be imported: {error}")
        return installed, {}
    missing = list(answer["dummies"])
    keys = {one.name for one in installed.project.environment_names if one.is_secret_key}
    made = {name: secrets.token_urlsafe(48) for name in missing if name in keys or adopt.is_own_secret(name)}
    if others := [name for name in missing if name not in made]:
        raise KitError(explain_missing(others, installed))
    if made:
        keep(kept, made)
        step(f"Generated {', '.join(made)}, which the project insists on (kept in {kept})")
    return replace(installed, environment={**installed.environment, **made}), answer


def known_reason(error: str, installed: Installed) -> str:
    """The reason and the line that mends it, if it is one that the kit knows. A line for the images is one for make."""
    reason = reasons.of_known(error, installed.project.folder)
    return re.sub(r"BASE_IMAGE=python:(3\.\d+)-slim-trixie in \.env", r"make run PYTHON=python\1", reason)


def keep(path: Path, values: Mapping[str, str]) -> None:
    """Adds them to a file that only its owner can read."""
    path.touch(mode=0o600)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={dotenv.quote(value)}\n" for name, value in values.items())


def explain_missing(names: list[str], installed: Installed) -> str:
    """What the project insists on, and the lines to add."""
    origins = {one.name: one.origin for one in installed.project.environment_names}
    listed = ", ".join(f"{name} ({origins[name]})" if name in origins else name for name in names)
    proposed = {line.name: line.value for line in adopt.project_lines(installed.project, installed.environment)}
    lines = "\n".join(f"{name}={dotenv.quote(proposed.get(name) or '')}" for name in names)
    command = f"make adopt PROJECT={shlex.quote(str(installed.project.folder))}"
    way = (
        f"Put them into {env_files.PROJECT_FILE}, to which `{command}` adds what it can"
        if installed.is_adopted
        else f"Set them in the shell, or let `{command}` write {env_files.PROJECT_FILE}"
    )
    return f"the project insists on variables that have no value: {listed}. {way}:\n{lines}"


# --- The release


def migrate(installed: Installed, answer: Mapping[str, Any]) -> None:
    """Waits for the database, and runs the project's migrations if it has any."""
    make_database_folders(installed.project.folder, answer)
    check: list[str | Path] = [installed.python, APP / "check_database.py", str(PATIENCE)]
    processes.require(check, installed.environment, folder=installed.folder)
    found = installed.project.migrations
    given = installed.environment.get("MIGRATE_COMMAND") or (found.command if found else "")
    command = given or release.own_migration(dict(answer), installed.environment, installed.folder, is_of_build=False)
    known = installed.project.first_start
    first = installed.environment.get("INIT_COMMAND") or (known.command if known else "")
    places = (_data(installed), installed.folder)
    reason = first_start.reason_against(places, places[0], installed.environment, answer) if first else ""
    if command:
        step(f"Migrating the database: {command}")
        is_quiet = not given and answer.get("framework") == "django"
        _run("MIGRATE_COMMAND", command, installed, ["--verbosity", "0"] if is_quiet else [])
    if first:
        initialize(installed, first, reason)
    if answer:
        tables: list[str | Path] = [installed.python, APP / "check_tables.py", *([] if command else ["--create"])]
        processes.require(tables, installed.environment, folder=installed.folder)


def make_database_folders(project: Path, answer: Mapping[str, Any]) -> None:
    """Those inside the project, as a container's start does: Git keeps no empty folder. Raises KitError."""
    for database in answer.get("databases") or ():
        folder = Path(database.get("file") or "/").parent
        if folder.is_dir() or not folder.is_relative_to(project.resolve()):
            continue
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise KitError(f"{folder}, the database's folder, cannot be created: {error.strerror}") from None
        step(f"Created {folder}, the database's folder")


def initialize(installed: Installed, command: str, reason: str) -> None:
    """Runs the project's command for a first start, unless there is a reason against it."""
    if reason:
        step(f"{command}: not run, since {reason}")
        return
    step(f"Creating the database: {command}")
    _run("INIT_COMMAND", command, installed)
    first_start.remember(_data(installed))


def _data(installed: Installed) -> Path:
    return Path(installed.environment.get("DATA_DIR") or installed.home)


def _run(variable: str, command: str, installed: Installed, more: Sequence[str] = ()) -> None:
    try:
        words: list[str | Path] = [*command_words.split(command), *more]
        processes.require(words, installed.environment, folder=installed.folder)
    except (ValueError, OSError) as error:
        raise KitError(f"{variable}={command!r}: {error}") from None


# --- Static and media files


def static_options(installed: Installed, answer: Mapping[str, Any]) -> Iterator[str]:
    """For Django's static files. Flask serves its own."""
    url = answer.get("static_url", "")
    if not answer.get("collects") or not SERVED.fullmatch(url):
        return
    step("Collecting the static files")
    script = (APP / "collectstatic.py").read_text(encoding="utf-8")
    command: list[str | Path] = [installed.python, "manage.py", "shell", "--verbosity", "0", "--command", script]
    status, root = ask_project.run_marked(command, installed.folder, installed.environment)
    if status:
        raise KitError("collecting the static files failed; its own lines above say why")
    if root:
        step(f"Serving {url} from {root}")
        yield from ("--static", f"{url}={root}")


def media_options(installed: Installed, answer: Mapping[str, Any]) -> Iterator[str]:
    """For MEDIA_ROOT, where the project gives its files addresses of their own: MEDIA_URL."""
    url, root = answer.get("media_url", ""), answer.get("media_root", "")
    if not url or url == "/" or not root or not SERVED.fullmatch(url):
        return
    if installed.project.folder.resolve().is_relative_to(root):
        step(f"{url} is not served: MEDIA_ROOT, {root}, has the project's own files in it")
        return
    try:
        Path(root).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"MEDIA_ROOT={root!r}: cannot be created: {error.strerror}") from None
    step(f"Serving {url} from {root}")
    yield from ("--static", f"{url}={root}")


def hosts_note(answer: Mapping[str, Any]) -> str:
    """Why Django would respond to every request with 400; "" if it would not."""
    hosts = answer.get("allowed_hosts", [])
    if answer.get("framework") != "django" or LOCAL_HOSTS & set(hosts) or (answer.get("debug") and not hosts):
        return ""
    return f"ALLOWED_HOSTS is {hosts}: Django responds with 400 here, until it also has 127.0.0.1"
