"""`make run`: the project in a virtual environment, served by ropewalk alone, without Docker and nginx.

Each project has its own folder in .run/projects, with its environment and its data. A step is skipped if its result
exists and its input has not changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, NoReturn

from kit import (
    assets,
    clashes,
    database_variables,
    interpreters,
    local_environment,
    local_project,
    processes,
    times,
    virtual_environment,
)
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT, RUN
from kit.project import facts, install
from kit.project.facts import Project
from kit.project.install import Uv
from kit.project.node import NodeBuild
from kit.project.python_version import Version
from kit.variables import read_integer

TOOLS = RUN / "tools"
"""A virtual environment with uv, for all projects."""

KIT_REQUIREMENTS = ROOT / "deploy/requirements.txt"

ACCESS_FORMAT = "%(t)s %(s)s %(m)s %(U)s%(q)s %(B)s bytes, %(M)s ms"
""""[date] 200 GET /path 1234 bytes, 5 ms": one line for each request."""


class Plan(NamedTuple):
    """What to run: the variables, checked."""

    project: Project
    home: Path
    """The folder of all that is created here for this project."""
    port: int
    options: tuple[str, ...]
    """Of the server."""
    environment: Mapping[str, str]
    """Of the project's own commands, and of the server."""
    notes: tuple[str, ...]
    """What to say about variables."""
    is_adopted: bool
    """Whether .env and .env.project are this project's."""
    python: Path
    """The interpreter for the environment."""
    version: Version
    assets: NodeBuild | None = None
    """What npm builds before the project is served."""

    @property
    def venv(self) -> Path:
        return self.home / "venv"

    @property
    def folder(self) -> Path:
        """Where the project's commands and the server run."""
        return self.project.folder / self.project.work_folder


def make_plan(shell: Mapping[str, str], root: Path = ROOT) -> Plan:
    """Raises KitError for a wrong value, before anything is installed."""
    given = local_environment.read(shell, root)
    port = read_integer("PORT", given.kit)
    limits = times.chain(given.kit)
    options = {
        "--threads": read_integer("THREADS", given.kit),
        "--timeout": limits["REQUEST_TIMEOUT"],
        "--graceful-timeout": limits["GRACEFUL_TIMEOUT"],
    }
    project = facts.look(given.folder, given.project)
    home = home_of(project.folder)
    given = given.with_databases(database_variables.proposals(project, given.project))
    variables, notes = local_environment.complete(given, _folders(home, shell))
    node_build = given.kit.get(assets.VARIABLE, "")
    if note := assets.note(node_build, project.node, project.folder):
        notes.append(note)
    paths = [str(project.folder / path) for path in project.paths]
    settings = project.application.settings
    return Plan(
        project,
        home,
        port,
        (*(str(word) for option in options.items() for word in option), *_access_log(variables)),
        {
            **({"DJANGO_SETTINGS_MODULE": settings.module} if settings else {}),
            **variables,
            "PATH": f"{home / 'venv/bin'}{os.pathsep}{variables.get('PATH', os.defpath)}",
            "PYTHONPATH": os.pathsep.join(filter(None, (*paths, variables.get("PYTHONPATH")))),
            "WSGI_APP": project.application.value,
            "BACKEND": "ropewalk",
        },
        (*given.notes, *notes),
        given.is_adopted,
        *interpreters.choose(project.python, shell),
        assets=assets.choose(node_build, project.node, project.folder),
    )


def _folders(home: Path, shell: Mapping[str, str]) -> dict[str, str]:
    data = shell.get("DATA_DIR") or str(home / "data")
    return {
        "DATA_DIR": data,
        "MEDIA_ROOT": shell.get("MEDIA_ROOT") or f"{data}/media",
        "STATIC_ROOT": shell.get("STATIC_ROOT") or str(home / "static"),
    }


def _access_log(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each request on standard output, unless a variable of the server's names another place.

    On a terminal the server has a format of its own for it.
    """
    if environment.get("ROPEWALK_ACCESS_LOGFILE"):
        return ()
    return ("--access-logfile", "-", *(() if sys.stdout.isatty() else ("--access-logformat", ACCESS_FORMAT)))


def home_of(project: Path) -> Path:
    """Two projects may have the same name; neither sees the other's packages or data."""
    return RUN / "projects" / f"{project.name}-{hashlib.sha256(os.fsencode(project)).hexdigest()[:8]}"


def check_port(port: int) -> None:
    """Before anything is installed. Raises KitError."""
    if clashes.is_in_use("127.0.0.1", port):
        free = next((each for each in range(port + 1, 65536) if not clashes.is_in_use("127.0.0.1", each)), 0)
        raise KitError(f"PORT={port}: in use by another program; a free one: PORT={free} make run")


def run(environment: Mapping[str, str]) -> NoReturn:
    plan = make_plan(environment)
    check_port(plan.port)
    application = plan.project.application
    step(f"The application is {application.value} ({application.origin})")
    wanted = plan.project.python
    if plan.python != Path(sys.executable):
        needed = ", ".join(f"{one.origin} wants Python {one.text}" for one in wanted.conditions)
        step(f"{needed}, which {sys.executable} is not; {plan.python} is used")
    for note in (*plan.notes, *wanted.check(plan.version, str(plan.python)), *application.notes):
        step(note)
    prepare_environment(plan)
    for name in ("DATA_DIR", "MEDIA_ROOT", "STATIC_ROOT"):
        make_folder(name, plan.environment[name])
    if plan.assets:
        assets.build_locally(plan.assets, plan.project.folder, plan.environment)
    prepared = installed(plan)
    environment, served = local_project.prepare(prepared)
    step(f"Serving http://127.0.0.1:{plan.port}  (Ctrl-C stops it)")
    # Paths in settings are relative to this folder, as for manage.py.
    os.chdir(prepared.folder)
    command = ["ropewalk", "--bind", f"127.0.0.1:{plan.port}", *plan.options, *served, application.value]
    processes.replace(command, environment)


def installed(plan: Plan) -> local_project.Installed:
    project = plan.project
    if project.django and not serves_django(plan):
        project = replace(project, django=None)
    folder = project.folder / project.work_folder
    python = plan.venv / "bin/python"
    return local_project.Installed(project, python, folder, plan.home, plan.environment, plan.is_adopted)


def prepare_environment(plan: Plan) -> None:
    """The project's packages and the server, in an environment of its own: all again if anything has changed."""
    stamp, python = plan.venv / "installed", plan.venv / "bin/python"
    dependencies = plan.project.dependencies
    files = install.fingerprint_files(dependencies, plan.project.folder)
    wanted = f"{dependencies.listed}\n{fingerprint([KIT_REQUIREMENTS, ROOT / 'server/pyproject.toml', *files])}"
    if (
        virtual_environment.works(plan.venv, with_pip=False, python=plan.python)
        and stamp.exists()
        and stamp.read_text() == wanted
    ):
        step(f"The requirements are installed already ({plan.venv})")
        return
    uv = Uv(prepare_tools(), python, plan.environment, is_image=False)
    shutil.rmtree(plan.venv, ignore_errors=True)  # what is no longer listed is not kept
    virtual_environment.create(plan.venv, with_pip=False, python=plan.python)
    for text in (*(f"{one.file} is not used: {one.reason}" for one in dependencies.unused), *dependencies.notes):
        step(text)
    install.install_dependencies(dependencies, plan.project.folder, uv)
    install.install_project(dependencies, plan.project.folder, uv)
    step("Installing the server from server/ (a link: edits there take effect at the next start)")
    install.install_server(ROOT / "server", KIT_REQUIREMENTS, uv)
    stamp.write_text(wanted)


def prepare_tools() -> Path:
    """uv, in the version and with the hash that deploy/requirements.txt has."""
    stamp, wanted = TOOLS / "installed", fingerprint([KIT_REQUIREMENTS])
    virtual_environment.create(TOOLS)
    if not (stamp.exists() and stamp.read_text() == wanted):
        step(f"Installing uv into {TOOLS}")
        pip = (TOOLS / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        processes.require([*pip, "--require-hashes", "--requirement", KIT_REQUIREMENTS], os.environ)
        stamp.write_text(wanted)
    return TOOLS / "bin/uv"


def fingerprint(paths: Iterable[Path]) -> str:
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in paths)


def serves_django(plan: Plan) -> bool:
    """Whether manage.py can be used: it is Django's, and Django is installed."""
    if plan.project.django is None:
        return False
    command = (plan.venv / "bin/python", "-c", "import django")
    done = subprocess.run(command, env=plan.environment, cwd=plan.folder, capture_output=True, check=False)
    if done.returncode:
        step("manage.py is Django's, but Django is not installed: no migrations, no static files")
    return done.returncode == 0


def make_folder(name: str, path: str) -> None:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{name}={path!r}: cannot be created: {error.strerror}") from None
