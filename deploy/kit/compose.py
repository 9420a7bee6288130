"""`docker compose` for this checkout, with what a compose file cannot express: a project outside of the checkout, and a
stop_grace_period that follows from REQUEST_TIMEOUT."""

import getpass
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from kit import assets, backends, clashes, env_files, given_values, identity, image_files, processes, publishing, times
from kit.errors import KitError
from kit.paths import COMPOSE, ROOT, RUN
from kit.project import node
from kit.variables import read
from project_files import Selection

COMPOSE_NEEDED = (2, 24)
"""The first version with `required` in `env_file`, which docker-compose.yml uses."""

DEFAULT_PROJECT = "sample_project"

IMAGE_OWNER = '{{index .Config.Labels "ropewalk.project"}}'
"""Of the application's image (Dockerfile)."""

PROFILES = ("acme", "backup", "cron", "monitor", "postgres", "redis", "scheduler", "worker")
"""Of docker-compose.yml; files that are added to it may have others."""

ENGINE_WITH_CONTEXTS = 23
"""The first engine with more than one build context."""

OUTSIDE = {"PROJECT_PLACE": "outside"}
"""For a project outside of the checkout."""

EARLIER_FILE = "deploy/compose/project.yml"

COPIES = "project"
"""The folder in .run with copies of projects, for engines with one build context: .dockerignore lets it through."""


def check_docker(environment: Mapping[str, str]) -> None:
    """Raises KitError if compose is missing or too old, or if the engine does not respond."""
    version_of_compose, version_of_engine = _started(
        [["docker", "compose", "version", "--short"], ["docker", "version", "--format", "{{.Server.Version}}"]],
        environment,
    )
    try:
        version = version_of_compose()
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise KitError("docker with its compose plugin is not installed; `make run` works without them") from None
    if (found := re.match(r"v?(\d+)\.(\d+)", version)) and (int(found[1]), int(found[2])) < COMPOSE_NEEDED:
        needed = ".".join(map(str, COMPOSE_NEEDED))
        raise KitError(f"docker compose {version} is too old: this kit needs {needed} or newer")
    try:
        version_of_engine()
    except subprocess.CalledProcessError:
        question = f"is it running? may {getpass.getuser()} use it?"
        raise KitError(f"the Docker engine does not respond ({question})") from None


def prepare(environment: Mapping[str, str], root: Path = ROOT) -> dict[str, str]:
    """The environment for `docker compose`. Raises KitError, for a wrong value, before anything changes."""
    check_docker(environment)
    values = env_files.read_kit(environment, root)
    env_files.read_project(values, root)
    given_values.check(values)
    backends.chosen(values)
    _check_outbound(values)
    _check_files(values)
    prepared = dict(environment) | {"STOP_GRACE_PERIOD": times.stop_grace_period(values)}
    prepared |= publishing.prepare(values)
    project = find_project(values["PROJECT_DIR"], root) if values.get("PROJECT_DIR") else root / DEFAULT_PROJECT
    _selection(project, values)
    if values.get("PROJECT_DIR"):
        prepared |= identity.of_project(project, values, root)
        if project.is_relative_to(root):
            prepared |= {"PROJECT_DIR": f"./{project.relative_to(root)}", "PROJECT_PLACE": "inside"}
        else:
            prepared |= _project_outside(project, values, environment, root)
    if prepared.get("DOCKER_HOST", "").startswith("ssh:"):
        prepared |= _on_server(values, prepared, root)
    return prepared


def _on_server(values: Mapping[str, str], prepared: Mapping[str, str], root: Path) -> dict[str, str]:
    from kit.remote import folders, server  # here, since the image's build has this file without that package

    found = server.of(prepared)
    return folders.prepare(found, values, prepared, root) if found else {}


def _selection(project: Path, values: Mapping[str, str]) -> Selection:
    """What the image gets of the project. Raises KitError."""
    return image_files.select(project, values.get("IMAGE_INCLUDE", ""), values.get("IMAGE_EXCLUDE", ""))


def _check_outbound(values: Mapping[str, str]) -> None:
    known = sorted(path.stem.removeprefix("outbound-") for path in COMPOSE.glob("outbound-*.yml"))
    outbound = read("OUTBOUND", values)
    if outbound not in known:
        raise KitError(f"OUTBOUND={outbound!r}: must be {' or '.join(reversed(known))}")


def _check_files(values: Mapping[str, str]) -> None:
    """An earlier version wrote a COMPOSE_FILE, with which compose reads no docker-compose.override.yml."""
    if EARLIER_FILE in values.get("COMPOSE_FILE", ""):
        line = "replace it by PROJECT_PLACE=outside" if values.get("PROJECT_DIR") else "remove it"
        raise KitError(f"COMPOSE_FILE names {EARLIER_FILE}, which is no more: {line}, in .env")


def check_clashes(prepared: Mapping[str, str], root: Path = ROOT) -> dict[str, Any]:
    """Returns what `docker compose config` prints.

    Raises KitError if `up` would meet another project's containers or ports, or if compose refuses its files.
    """
    config, context, listed = _started(
        [
            ["docker", "compose", "config", "--format", "json"],
            ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
            ["docker", *clashes.LIST],
        ],
        prepared,
    )
    try:
        model: dict[str, Any] = json.loads(config())
    except subprocess.CalledProcessError as error:
        raise KitError((error.stderr.strip().splitlines() or ["docker compose config failed"])[-1]) from None
    check_profiles(prepared)
    endpoint = prepared.get("DOCKER_HOST") or context()
    containers = _read_list(listed)
    app = model["services"].get("app", {})
    own = app.get("environment", {}).get("PROJECT_ID") or ""
    owner = owner_of(app.get("image", ""), prepared)
    clashes.check(model, containers, root, is_local=endpoint.startswith("unix:"), owner=owner, own=own)
    clashes.check_owner(app.get("image", ""), owner, own)
    if endpoint.startswith("ssh:"):
        _check_mounts(model, prepared, root)
    return model


def check_profiles(prepared: Mapping[str, str]) -> None:
    """Compose ignores a profile that no service has. Raises KitError."""
    given = env_files.read_kit(prepared).get("COMPOSE_PROFILES", "")
    wanted = {name.strip() for name in given.split(",")} - {"", "*", *PROFILES}
    if not wanted:
        return
    known = _output(["docker", "compose", "--profile", "*", "config", "--profiles"], prepared).split()
    if unknown := sorted(wanted - set(known)):
        raise KitError(
            f"COMPOSE_PROFILES={given!r}: no service has {unknown[0]}; must be one of {', '.join(sorted(known))}"
        )


def owner_of(image: str, environment: Mapping[str, str]) -> str:
    """The PROJECT_ID of the image; "" if there is none, or no image."""
    try:
        return _output(["docker", "image", "inspect", "--format", IMAGE_OWNER, image], environment)
    except (FileNotFoundError, subprocess.SubprocessError):
        return ""


def _check_mounts(model: Mapping[str, Any], prepared: Mapping[str, str], root: Path) -> None:
    from kit.remote import folders, server  # here, since the image's build has this file without that package

    if found := server.of(prepared):
        folders.check(model, found, root)


def left_out(environment: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """What the image will not get of the project: a line for each reason. Raises KitError."""
    values = env_files.read_kit(environment, root)
    project = find_project(values.get("PROJECT_DIR") or DEFAULT_PROJECT, root)
    return image_files.left_out(_selection(project, values))


def assets_note(environment: Mapping[str, str], root: Path = ROOT) -> str:
    """What to say about a build script that nobody has decided about. Raises KitError if NODE_BUILD is wrong."""
    values = env_files.read_kit(environment, root)
    project = find_project(values.get("PROJECT_DIR") or DEFAULT_PROJECT, root)
    found = node.find(project)
    assets.choose(values.get(assets.VARIABLE, ""), found, project)
    return assets.note(values.get(assets.VARIABLE, ""), found, project)


def list_containers(environment: Mapping[str, str]) -> list[clashes.Container]:
    """All containers of the engine. Raises KitError if there is no engine that answers."""
    return _read_list(lambda: _output(["docker", *clashes.LIST], environment))


def _read_list(listed: Callable[[], str]) -> list[clashes.Container]:
    try:
        return clashes.read_list(listed())
    except (FileNotFoundError, subprocess.SubprocessError):
        raise KitError("the Docker engine does not respond") from None


def find_project(given: str, root: Path = ROOT, variable: str = "PROJECT_DIR") -> Path:
    """Raises KitError if it is none that this user can read."""
    try:
        project = (root / Path(given).expanduser()).resolve()
        if project.is_dir():
            os.scandir(project).close()
            return project
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead to each other, or a ~ of no user
        raise KitError(f"{variable}={given!r}: {getattr(error, 'strerror', None) or error}") from None
    raise KitError(f"{variable}={given!r}: must be an existing folder")


def has_contexts(environment: Mapping[str, str]) -> bool:
    """Whether the engine can build from a folder beside the checkout. Raises an error of `_output`."""
    version = re.match(r"\d+", _output(["docker", "version", "--format", "{{.Server.Version}}"], environment))
    return version is None or int(version[0]) >= ENGINE_WITH_CONTEXTS


def _builder(values: Mapping[str, str], environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the engine that builds the images."""
    if not environment.get("DOCKER_HOST", "").startswith("ssh:"):
        return environment
    from kit.remote import images  # here, since the image's build has this file without that package

    return images.builder(values, environment) or environment


def _project_outside(
    project: Path, values: Mapping[str, str], environment: Mapping[str, str], root: Path
) -> dict[str, str]:
    if has_contexts(_builder(values, environment)):
        return {"PROJECT_DIR": str(project), **OUTSIDE}
    name = values.get("COMPOSE_PROJECT_NAME") or identity.compose_name(project)
    copy = RUN / COPIES / name
    shutil.rmtree(copy, ignore_errors=True)
    image_files.copy(_selection(project, values), copy)
    return {"PROJECT_DIR": f"./{copy.relative_to(ROOT)}", "PROJECT_PLACE": "inside"}


def model(environment: Mapping[str, str]) -> dict[str, Any]:
    """What `docker compose config` prints, with the services of all profiles."""
    return dict(json.loads(_output(["docker", "compose", "--profile=*", "config", "--format", "json"], environment)))


def project_name(environment: Mapping[str, str]) -> str:
    return str(json.loads(_output(["docker", "compose", "config", "--format", "json"], environment))["name"])


def replace(arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    os.chdir(ROOT)
    processes.replace(["docker", "compose", *arguments], environment)


def published_port(port: int, environment: Mapping[str, str]) -> str:
    """The port of this machine that leads to nginx's `port`."""
    output = _output(["docker", "compose", "port", "nginx", str(port)], environment)
    return output.rpartition(":")[2]


def _started(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[Callable[[], str]]:
    """All at the same time, since each takes a while: functions that return what `_output` does."""
    with ThreadPoolExecutor(len(commands)) as threads:
        return [threads.submit(_output, command, environment).result for command in commands]


def _output(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The standard output without the last newline. Raises CalledProcessError or FileNotFoundError."""
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.rstrip("\n")
