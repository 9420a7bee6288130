"""`make adopt PROJECT=../shop`: looks at a project and writes .env and .env.project, so that no command needs more.

Nothing that is set already is changed: a second run adds what is missing. .env.project holds secrets, so only its owner
can read it.
"""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kit import clashes, compose, dotenv, env_files, identity
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT
from kit.project import facts, report
from kit.project.facts import Project

PROJECT_FILE = env_files.PROJECT_FILE
EXAMPLES = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist", "example.env")
"""Files of a project that show its variables. Their values are used only where they are no secrets."""

SECRET = re.compile(r"(SECRET|SALT|SIGNING|JWT|ENCRYPTION|SESSION)_?(KEY|TOKEN|SECRET)?$|^(APP|FLASK)_KEY$|SECRET")
"""Names of variables of which any long random value is right."""

FOREIGN = re.compile(
    r"AWS|STRIPE|OAUTH|CLIENT|GOOGLE|GITHUB|FACEBOOK|TWITTER|SENDGRID|MAILGUN|TWILIO|PAYPAL|CAPTCHA|API|S3"
)
"""Names of secrets that somebody else makes."""

OWN_KEY = re.compile(r"((DJANGO|FLASK|APP)_)?SECRET_KEY")
"""Names that are the framework's key wherever they are read."""

NOT_THE_PROJECTS = ("DJANGO_SETTINGS_MODULE", *env_files.SHARED_WITH_NGINX)
"""Set in .env."""

PLAIN_COMPOSE = "The files that `docker compose` reads"

IMAGE_PYTHON = (3, 13, 5)
"""Debian trixie's, which the images have unless BASE_IMAGE says otherwise."""
OTHER_PYTHONS = ((3, 14, 0), (3, 12, 99), (3, 11, 99))
"""Those that the kit and the server support, with an image of each: the newest first, and late in their series."""

PORTS = range(8080, 8180)


def adopt(given: str, environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Raises KitError, before anything is written."""
    if not given:
        raise KitError("which project? make adopt PROJECT=../shop")
    folder = compose.find_project(given, Path.cwd())
    present = dotenv.read(root / ".env", environment)
    before = present.get("PROJECT_DIR")
    if before and compose.find_project(before, root) != folder:
        raise KitError(
            f"this checkout serves {before} already (PROJECT_DIR in .env). One checkout serves one project: use another"
            " copy of it, or move .env and .env.project away"
        )
    project = facts.look(folder, {**environment, **present})
    for line in report.lines(project):
        print(line)  # noqa: T201
    own = dotenv.read(root / PROJECT_FILE, {**environment, **present})
    kit = list(kit_lines(project, present, environment, root))
    _add(root / ".env", kit, present, 0o644)
    wanted = list(project_lines(project, {**present, **own}))
    _add(root / PROJECT_FILE, wanted, own, 0o600)
    todo = [name for name, value, _ in wanted if value is None]
    if todo:
        step(f"Fill in {', '.join(todo)} in {PROJECT_FILE}; then: make up")
    else:
        step("Next: make up (or without Docker: make run)")
    return 0


Line = tuple[str, str | None, str]
"""Name, value (None: only the owner of the project knows it), and the comment above."""


def kit_lines(
    project: Project, present: Mapping[str, str], environment: Mapping[str, str], root: Path
) -> Iterator[Line]:
    """The lines of .env."""
    folder = project.folder
    path = f"./{folder.relative_to(root)}" if folder.is_relative_to(root) else str(folder)
    yield "PROJECT_DIR", path, "The project that this checkout serves"
    containers = _containers(environment)
    name = _free_name(identity.compose_name(folder), containers, root)
    yield "COMPOSE_PROJECT_NAME", name, "The name of its containers, images and volumes"
    yield "PROJECT_ID", folder.name, "The data volume belongs to this project"
    if not folder.is_relative_to(root):
        yield (
            "COMPOSE_FILE",
            compose.files(present, root=root, is_outside=_can_build_outside(environment)),
            PLAIN_COMPOSE,
        )
    yield "WSGI_APP", project.application.value, f"From {project.application.origin}"
    if project.application.settings:
        settings = project.application.settings
        yield "DJANGO_SETTINGS_MODULE", settings.module, f"From {settings.origin}"
    if project.migrations:
        yield "MIGRATE_COMMAND", project.migrations.command, f"From {project.migrations.origin}"
    if project.first_start and project.first_start.command:
        comment = f"From {project.first_start.origin}: creates the database; runs once, while there is none"
        yield "INIT_COMMAND", project.first_start.command, comment
    taken: list[int] = []
    for variable in ("HTTP_PORT", "HTTPS_PORT"):
        port = _free_port(8443 if variable == "HTTPS_PORT" else 8080, name, containers, taken)
        taken.append(port)
        yield (
            variable,
            str(port),
            "Ports of this machine, reachable from it alone; see docs/deployment.md for the internet",
        )
    for known in project.environment_names:
        if known.name == "SERVER_NAME" and known.is_required:
            yield "SERVER_NAME", "localhost", f"Read in {known.origin}: the domain, which nginx serves too"
    if not project.python.is_allowed(IMAGE_PYTHON):
        yield "BASE_IMAGE", base_image(project), "Debian with a Python that the project allows"
    packages = project.system_packages
    if packages.build:
        yield "BUILD_PACKAGES", " ".join(packages.build), "Debian packages that the requirements need"
    if packages.runtime:
        yield "RUNTIME_PACKAGES", " ".join(packages.runtime), "Debian packages that the requirements need"


def base_image(project: Project) -> str:
    """An image of Debian with a Python that the project allows. Raises KitError if there is none."""
    for version in OTHER_PYTHONS:
        if project.python.is_allowed(version):
            return f"python:{version[0]}.{version[1]}-slim-trixie"
    wanted = ", ".join(f"{condition.text} ({condition.origin})" for condition in project.python.conditions)
    raise KitError(f"the project wants Python {wanted}; the kit has 3.11 to 3.14. Relax that line of the project")


def project_lines(project: Project, present: Mapping[str, str]) -> Iterator[Line]:
    """The lines of .env.project: what the project insists on, and a secret key in any case."""
    examples = example_values(project.folder)
    for variable in project.environment_names:
        name = variable.name
        is_key = variable.is_secret_key or OWN_KEY.fullmatch(name) is not None
        if (not variable.is_required and not is_key) or name in present or name in NOT_THE_PROJECTS:
            continue
        comment = f"Read in {variable.origin}"
        if is_key or is_own_secret(name):
            yield name, secrets.token_urlsafe(48), f"{comment}; generated"
        elif re.fullmatch(r"\w*DATABASE_UR[LI]", name):
            yield name, "sqlite:////data/db.sqlite3", f"{comment}; a file in the data volume"
        elif name == "DEBUG" or name.endswith("_DEBUG"):
            yield name, "0", comment
        elif name in examples and not re.search("SECRET|PASSWORD|TOKEN|KEY", name):
            yield name, examples[name], f"{comment}; the value of the project's example"
        else:
            yield name, None, f"{comment}; without a default"


def is_own_secret(name: str) -> bool:
    """Whether any long random value does."""
    return bool(SECRET.search(name)) and not FOREIGN.search(name)


def example_values(folder: Path) -> dict[str, str]:
    """What the project's own example of an environment file suggests; blank values are left out."""
    for name in EXAMPLES:
        if (folder / name).is_file():
            try:
                return {key: value for key, value in dotenv.read(folder / name, {}).items() if value}
            except KitError:
                return {}
    return {}


def _containers(environment: Mapping[str, str]) -> list[clashes.Container]:
    """Those on this machine; none if there is no Docker."""
    try:
        return compose.list_containers(environment)
    except KitError:
        return []


def _can_build_outside(environment: Mapping[str, str]) -> bool:
    """Whether plain `docker compose` can build the image. Older engines need `make up`, which copies the project."""
    try:
        return compose.has_contexts(environment)
    except (FileNotFoundError, subprocess.SubprocessError):
        return True


def _free_name(name: str, containers: Sequence[clashes.Container], root: Path) -> str:
    """`name`, or with a number if another checkout has containers of that name."""
    others = {each.project for each in containers if each.folder and Path(each.folder) != root}
    return next(each for each in (name, *(f"{name}-{number}" for number in range(2, 100))) if each not in others)


def _free_port(first: int, name: str, containers: Sequence[clashes.Container], taken: Sequence[int]) -> int:
    """`first`, or another port that is free or published by the project itself."""
    ports: list[int] = [first, *PORTS]
    for port in ports:
        owners = {each.project for each in containers if clashes.publishes(each, port)}
        if port in taken or owners - {name}:
            continue
        if owners or not clashes.is_in_use("127.0.0.1", port):
            return port
    raise KitError(f"no port from {PORTS[0]} to {PORTS[-1]} is free")


def _add(path: Path, lines: Sequence[Line] | Iterator[Line], present: Mapping[str, str], mode: int) -> None:
    """Appends the lines whose names are not in the file yet."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = {*present, *re.findall(r"^#([A-Z_0-9]+)=$", before, re.M)}
    added = []
    last = ""
    for name, value, comment in lines:
        if name in known:
            continue
        if comment != last:
            added.append(f"# {comment}")
            last = comment
        added.append(f"#{name}=" if value is None else f"{name}={dotenv.quote(value)}")
    if not added and path.exists():
        return
    separator = "" if not before or before.endswith("\n") else "\n"
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(before + separator + "".join(f"{line}\n" for line in added))
    new.replace(path)
    step(f"{path.name}: {len([line for line in added if not line.startswith('# ')])} lines added")
