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
from typing import NamedTuple

from kit import (
    assets,
    clashes,
    compose,
    development_env,
    dotenv,
    env_files,
    example_values,
    identity,
    own_services,
    unused,
    uploads,
)
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT
from kit.project import base_python, database_names, debug_switch, facts, report, services, unpin
from kit.project.environment_names import EnvironmentName
from kit.project.facts import Project
from kit.project.names import name_of
from kit.variables import read

PROJECT_FILE = env_files.PROJECT_FILE
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

FEW = 3
"""So many variables of a service are named in the next step."""

PLAIN_COMPOSE = "PROJECT_DIR is outside of this checkout; for plain `docker compose`, since make finds that out"


def adopt(given: str, environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Raises KitError, before anything is written."""
    present = dotenv.read(root / ".env", environment)
    before = present.get("PROJECT_DIR")
    if not (given or before):
        raise KitError("which project? make adopt PROJECT=../shop")
    served = compose.find_project(before, root) if before else None
    folder = compose.find_project(given, Path.cwd(), variable="PROJECT") if given or served is None else served
    if served not in (None, folder):
        raise KitError(
            f"this checkout serves {before} already (PROJECT_DIR in .env). One checkout serves one project: use another"
            " copy of it, or move .env and .env.project away"
        )
    project = facts.look(folder, {**environment, **present})
    for line in report.lines(project, is_short=True):
        print(line)
    known = present
    own = dotenv.read(root / PROJECT_FILE, {**environment, **present})
    profiles = own_services.choose(project, present, own)
    kit = [
        *kit_lines(project, present, environment, root),
        *own_lines(project, profiles, present),
        *(Line(*line) for line in uploads.lines(uploads.find(project, present))),
    ]
    for each in kit:
        if each.name == uploads.VARIABLE and each.name not in present:
            step(each.comment)
        if each.name == assets.VARIABLE and each.name not in present and not each.is_proposal:
            step(f"{each.name}={each.value} in .env: {each.comment}")
    if not present.get("BASE_IMAGE"):
        say_python(project)
    if profiles:
        step(own_services.text(project, profiles))
        present = {**present, own_services.PROFILES: ",".join(profiles)}
    _add(root / ".env", kit, known, 0o644)
    debug = debug_switch.lines(project.debug_switches, lacks_hosts=project.lacks_hosts)
    switches = [line for line in (Line(*each) for each in debug) if line.name not in {**present, **own}]
    for each in switches:
        text = f"{'#' * each.is_proposal}{each.name}={each.value} in {PROJECT_FILE}"
        step(f"{text}: {each.comment[0].lower()}{each.comment[1:]}")
    wanted = [*project_lines(project, {**present, **own}), *switches]
    _add(root / PROJECT_FILE, wanted, own, 0o600)
    if text := development_env.note(project, {*present, *own, *(line.name for line in (*kit, *wanted))}):
        step(text)
    step(addresses(env_files.read_kit(environment, root), project.local_name))
    step(next_step(project, wanted, present.get(own_services.PROFILES, "")))
    return 0


def addresses(values: Mapping[str, str], local_name: str) -> str:
    """Where the site will be, and which lines say so."""
    name = (values.get("SERVER_NAME") or local_name).split()[0]
    found = {"HTTP_PORT": f"http://{name}:{values.get('HTTP_PORT') or 8080}"}
    if read("HTTPS", values) == "1":
        found["HTTPS_PORT"] = f"https://{name}:{values.get('HTTPS_PORT') or 8443}"
    return f"The site will be at {' and '.join(found.values())} ({', '.join(found)} in .env)"


class Line(NamedTuple):
    name: str
    value: str | None
    """None: only the owner of the project knows it."""
    comment: str
    """Of the line above."""
    needed_by: str = ""
    """The service that the line is for, if the project may start without it."""
    is_proposal: bool = False
    """Whether it is written as a comment, for its reader to decide."""


def next_step(project: Project, wanted: Sequence[Line], on: str = "") -> str:
    """What to do before `make up`, if anything. `on`: COMPOSE_PROFILES."""
    blank = [line for line in wanted if line.value is None]
    todo = [line.name for line in blank if not line.needed_by]
    optional = _optional([line for line in blank if line.needed_by])
    fixed = [service for service in project.services.servers if service.is_fixed]
    if fixed:
        return _change(fixed, todo)
    unnamed = project.services.database
    if unnamed and not unnamed.place and unnamed.name != services.SQLITE:
        filled = f", and fill in {', '.join(todo)} in {PROJECT_FILE}" if todo else ""
        where = "the settings"
        if project.settings_examples:
            where = "{1} (a copy of {0})".format(*project.settings_examples[0])
        return f"Have {where} name a {unnamed.name} server that a container can reach{filled}; then: make up"
    if todo:
        more = f", and {optional}," if optional else ""
        servers = [service for service in project.services.servers if service.profile and service.is_wanted]
        profiles = [service.profile for service in servers if service.profile not in on.split(",")]
        own = f" (or, for the kit's own, {own_services.line_of(on, *profiles)} in .env)" if profiles else ""
        return f"Fill in {', '.join(todo)}{more} in {PROJECT_FILE}{own}; then: make up"
    more = f"; and fill in {optional} in {PROJECT_FILE}, if it is to be used" if optional else ""
    return f"Next: make up (or without Docker: make run){more}"


def _optional(lines: Sequence[Line]) -> str:
    """What to fill in for services without which the project may start."""
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.needed_by, []).append(line.name)
    texts = [f"{', '.join(names)} for {service}" for service, names in found.items() if len(names) <= FEW]
    many = [service for service, names in found.items() if len(names) > FEW]
    if many:
        texts.append(f"what {' and '.join(many)} need{'s' * (len(many) == 1)}")
    return " and ".join(texts)


def _change(fixed: Sequence[services.Service], todo: Sequence[str]) -> str:
    """How to let the settings have another server than the one in the code."""
    places = ", ".join(service.origin for service in fixed)
    first = fixed[0]
    name = f"{re.sub('[^A-Z]', '', first.name.upper())}_HOST"
    read = f"os.environ.get({name!r}, {first.host or 'localhost'!r})"
    return (
        f"Before make up, change {places}: let the settings read where the server is, as in {read}. Then put"
        f" {', '.join((f'{name}=...', *todo))} into {PROJECT_FILE}. (make run uses the servers of this machine.)"
    )


def kit_lines(
    project: Project, present: Mapping[str, str], environment: Mapping[str, str], root: Path
) -> Iterator[Line]:
    """The lines of .env."""
    server = environment.get("HOST", "") if environment.get("DOCKER_HOST", "").startswith("ssh:") else ""
    if server:
        yield Line("HOST", server, "Where the site runs: every command works there, over SSH (docs/remote.md)")
    folder = project.folder
    path = f"./{folder.relative_to(root)}" if folder.is_relative_to(root) else str(folder)
    yield Line("PROJECT_DIR", path, "The project that this checkout serves")
    containers = _containers(environment)
    own = present.get("PROJECT_ID") or identity.project_id(folder, root)
    name = unused.find_name(identity.compose_name(folder), own, containers, environment, root)
    yield Line("COMPOSE_PROJECT_NAME", name, "The name of its containers, images and volumes")
    yield Line("PROJECT_ID", own, "The data volume belongs to this project")
    if not folder.is_relative_to(root) and _can_build_outside(environment):
        for variable, value in compose.OUTSIDE.items():
            yield Line(variable, value, PLAIN_COMPOSE)
    yield Line("WSGI_APP", project.application.value, f"From {project.application.origin}")
    if project.application.settings:
        settings = project.application.settings
        yield Line("DJANGO_SETTINGS_MODULE", settings.module, f"From {settings.origin}")
    if project.migrations:
        yield Line("MIGRATE_COMMAND", project.migrations.command, f"From {project.migrations.origin}")
    if project.first_start and project.first_start.command:
        comment = f"From {project.first_start.origin}: creates the database; runs once, while there is none"
        yield Line("INIT_COMMAND", project.first_start.command, comment)
    taken: list[int] = []
    for variable in ("HTTP_PORT", "HTTPS_PORT"):
        port = unused.find_port(8443 if variable == "HTTPS_PORT" else 8080, name, containers, taken, is_here=not server)
        taken.append(port)
        yield Line(
            variable,
            str(port),
            f"Ports of {server or 'this machine'}, reachable from it alone; see docs/deployment.md for the internet",
        )
    for known in project.environment_names:
        if known.name == "SERVER_NAME" and known.is_required:
            yield Line("SERVER_NAME", "localhost", f"Read in {known.origin}: the domain, which nginx serves too")
    if found := assets.propose(project.node, project.folder):
        yield Line(assets.VARIABLE, found.value, found.comment, is_proposal=not found.is_needed)
    if not present.get("BASE_IMAGE"):
        yield from python_lines(project)
    packages = project.system_packages
    if packages.build:
        yield Line("BUILD_PACKAGES", " ".join(packages.build), "Debian packages that the requirements need")
    if packages.runtime:
        yield Line("RUNTIME_PACKAGES", " ".join(packages.runtime), "Debian packages that the requirements need")


def own_lines(project: Project, profiles: Sequence[str], present: Mapping[str, str]) -> Iterator[Line]:
    for one in own_services.lines(project, profiles, present):
        yield Line(one.name, one.value, one.comment, is_proposal=one.is_proposal)


def python_lines(project: Project) -> Iterator[Line]:
    """The image's Python, and the other way for versions that are too old for Debian's."""
    choice = base_python.choose(project.python, project.dependencies)
    if choice.image:
        yield Line("BASE_IMAGE", choice.image, f"Debian with another Python: {choice.reason}")
    if not unpin.can_unpin(project.dependencies):
        return
    fixed = " ".join(unpin.spelled(project.dependencies))
    if choice.remaining:
        names = " ".join(map(name_of, choice.remaining))
        comment = f"Older than Python {choice.shown}: {', '.join(choice.remaining)}. Installs the newest versions"
        yield Line(unpin.VARIABLE, f"{fixed} {names}".strip(), comment, is_proposal=True)
    elif choice.cured:
        comment = "Or, instead of BASE_IMAGE: Debian's Python, and the newest versions of what is too old for it"
        yield Line(unpin.VARIABLE, f"{fixed} {' '.join(choice.cured)}".strip(), comment, is_proposal=True)


def say_python(project: Project) -> None:
    """Why the image gets another Python than Debian's, and what no Python of the kit mends."""
    choice = base_python.choose(project.python, project.dependencies)
    if choice.image:
        also = f". Or keep that Python, with their newest versions: {unpin.line(choice.cured)}"
        is_either = choice.cured and unpin.can_unpin(project.dependencies)
        step(f"BASE_IMAGE={choice.image} in .env: {choice.reason}{also if is_either else ''}")
    if choice.remaining:
        names = unpin.line([*unpin.spelled(project.dependencies), *map(name_of, choice.remaining)])
        step(
            f"{', '.join(choice.remaining)}: older than Python {choice.shown}, and may not work with it. If the newest"
            f" versions do for the project, {names} in .env installs them"
        )


def project_lines(project: Project, present: Mapping[str, str]) -> Iterator[Line]:
    """The lines of .env.project: what the project insists on, a secret key in any case, and where its servers are."""
    examples = example_values.read(project.folder)
    names = {one.name: one for one in project.environment_names}
    profiles = present.get(own_services.PROFILES, "").split(",")
    given = {name for profile in profiles for name in own_services.given_by(profile, project)}
    for variable in project.environment_names:
        if variable.name in given:
            continue
        is_key = variable.is_secret_key or OWN_KEY.fullmatch(variable.name) is not None
        if (variable.is_required or is_key) and variable.name not in present and variable.name not in NOT_THE_PROJECTS:
            yield _line(variable, examples, is_key=is_key)
        elif variable.is_storage and variable.name not in present:
            yield Line(variable.name, "/data", f"Read in {variable.origin}: where files are kept; the data volume")
    for service in project.services.servers:
        is_ours = service.profile != "" and service.profile in profiles
        for name in service.variables if service.is_wanted and not is_ours else ():
            if name not in present and name not in NOT_THE_PROJECTS and name in names and not names[name].is_required:
                is_needed = service is project.services.database and name in service.place
                yield Line(name, None, _comment(service), "" if is_needed else service.name)


def _comment(service: services.Service) -> str:
    text = f"{service.name} ({service.origin}), on a server that a container can reach"
    if service.name in services.DATABASES and any(re.search("UR[LI]$", name) for name in service.place):
        text += "; or a file in the data volume, if the project can use SQLite: sqlite:////data/db.sqlite3"
    return text


def _line(variable: EnvironmentName, examples: Mapping[str, str], *, is_key: bool) -> Line:
    name = variable.name
    comment = f"Read in {variable.origin}"
    if is_key or is_own_secret(name):
        return Line(name, secrets.token_urlsafe(48), f"{comment}; generated")
    if re.fullmatch(r"\w*DATABASE_UR[LI]", name):
        return Line(name, database_names.PROPOSALS[database_names.URL], f"{comment}; a file in the data volume")
    if proposed := database_names.PROPOSALS.get(variable.database):
        return Line(name, proposed, f"{comment}: the database; a file in the data volume")
    if name == "DEBUG" or name.endswith("_DEBUG"):
        return Line(name, "0", comment)
    if name in examples and example_values.is_placeholder(name, examples[name]):
        return Line(name, None, f"{comment}; in the project's example: {examples[name]}")
    if name in examples and not re.search("SECRET|PASSWORD|TOKEN|KEY", name):
        return Line(name, examples[name], f"{comment}; the value of the project's example")
    return Line(name, None, f"{comment}; without a default")


def is_own_secret(name: str) -> bool:
    """Whether any long random value does."""
    return bool(SECRET.search(name)) and not FOREIGN.search(name)


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


def _replace(path: Path, text: str, mode: int) -> None:
    """At once, or not at all. A mode that lets fewer read the file stays."""
    if path.exists():
        mode &= path.stat().st_mode
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # of a run that was killed, with its mode
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _add(path: Path, lines: Sequence[Line] | Iterator[Line], present: Mapping[str, str], mode: int) -> None:
    """Appends the lines whose names are not in the file yet."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = {*present, *re.findall(r"^#([A-Z_0-9]+)=$", before, re.M)}
    added = []
    last = ""
    for name, value, comment, _, is_proposal in lines:
        text = f"#{name}=" if value is None else f"{'#' * is_proposal}{name}={dotenv.quote(value)}"
        if name in known or (is_proposal and text in before.splitlines()):
            continue
        if comment != last:
            added.append(f"# {comment}")
            last = comment
        added.append(text)
    if not added and path.exists():
        return
    separator = "" if not before or before.endswith("\n") else "\n"
    _replace(path.resolve(), before + separator + "".join(f"{line}\n" for line in added), mode)
    count = len([line for line in added if not line.startswith("# ")])
    step(f"{path.name}: {count} {'line' if count == 1 else 'lines'} added")
