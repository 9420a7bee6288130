"""`make run`: the project in a virtual environment, served by ropewalk alone, without Docker and nginx.

A step is skipped if its result exists and its input has not changed.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from kit import processes, times, virtual_environment
from kit.compose import DEFAULT_PROJECT, find_project
from kit.console import step
from kit.errors import KitError
from kit.paths import APP, ROOT, RUN
from kit.variables import read, read_integer

VENV = RUN / "venv"
STAMP = RUN / "installed"
KIT_REQUIREMENTS = ROOT / "deploy/requirements.txt"


class Plan(NamedTuple):
    """What to run: the variables, checked."""

    project: Path
    port: int
    options: tuple[str, ...]
    """Of the server."""
    application: str
    environment: Mapping[str, str]
    """Of the project's own commands, and of the server."""


def make_plan(environment: Mapping[str, str]) -> Plan:
    port = read_integer("PORT", environment)
    limits = times.chain(environment)
    options = {
        "--threads": read_integer("THREADS", environment),
        "--timeout": limits["REQUEST_TIMEOUT"],
        "--graceful-timeout": limits["GRACEFUL_TIMEOUT"],
    }
    project = find_project(environment.get("PROJECT_DIR") or DEFAULT_PROJECT)
    # Each project has its own folders: two projects may use the same name for their database.
    data = environment.get("DATA_DIR") or str(RUN / "data" / project.name)
    path = os.pathsep.join(filter(None, (str(project), environment.get("PYTHONPATH"))))
    return Plan(
        project,
        port,
        tuple(str(word) for option in options.items() for word in option),
        read("WSGI_APP", environment),
        {
            **environment,
            "PATH": f"{VENV / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "PYTHONPATH": path,
            "BACKEND": "ropewalk",
            "DATA_DIR": data,
            "MEDIA_ROOT": environment.get("MEDIA_ROOT") or f"{data}/media",
            "STATIC_ROOT": environment.get("STATIC_ROOT") or str(RUN / "static" / project.name),
        },
    )


def run(environment: Mapping[str, str]) -> NoReturn:
    plan = make_plan(environment)
    virtual_environment.create(VENV)
    install(plan)
    for name in ("DATA_DIR", "MEDIA_ROOT", "STATIC_ROOT"):
        make_folder(name, plan.environment[name])
    static = prepare_django(plan) if (plan.project / "manage.py").is_file() else ()
    step(f"Serving http://127.0.0.1:{plan.port}  (Ctrl-C stops it)")
    # Paths in WSGI_APP, manage.py and settings are relative to the project.
    os.chdir(plan.project)
    command = ["ropewalk", "--bind", f"127.0.0.1:{plan.port}", *plan.options, *static, plan.application]
    processes.replace(command, plan.environment)


def install(plan: Plan) -> None:
    """The kit's locked requirements, the project's own, and the server from this checkout."""
    own = plan.project / "requirements.txt"
    sources = [KIT_REQUIREMENTS, ROOT / "server/pyproject.toml", *([own] if own.exists() else [])]
    stamp = fingerprint(sources)
    if STAMP.exists() and STAMP.read_text() == stamp:
        step(f"The locked requirements are installed already ({VENV})")
        return
    step(f"Installing the locked requirements into {VENV}")
    pip("--require-hashes", "--requirement", KIT_REQUIREMENTS)
    if own.exists():
        pip(*hash_option(own), "--requirement", own)
    step("Installing the server from server/ (a link: edits there take effect at the next start)")
    pip("--no-deps", "--no-build-isolation", "--editable", ROOT / "server")
    STAMP.write_text(stamp)


def fingerprint(paths: Iterable[Path]) -> str:
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in paths)


def hash_option(requirements: Path) -> list[str]:
    """pip checks a locked list against its hashes; a list without hashes is the project's choice."""
    return ["--require-hashes"] if "--hash=" in requirements.read_text() else []


def pip(*arguments: str | Path) -> None:
    command = [VENV / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *arguments]
    processes.require(command, os.environ)


def make_folder(name: str, path: str) -> None:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{name}={path!r}: cannot be created: {error.strerror}") from None


def prepare_django(plan: Plan) -> tuple[str, ...]:
    """Migrates, and collects the static files; returns the server's options that serve them."""
    manage = [str(VENV / "bin/python"), "manage.py"]
    step(f"Migrating the database (in {plan.environment['DATA_DIR']})")
    processes.require([*manage, "migrate", "--noinput", "--verbosity", "0"], plan.environment, folder=plan.project)
    step(f"Collecting the static files (into {plan.environment['STATIC_ROOT']})")
    script = (APP / "collectstatic.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [*manage, "shell", "--verbosity", "0", "--command", script],
        env=plan.environment,
        cwd=plan.project,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)
    root = (done.stdout.splitlines() or [""])[-1]
    return ("--static", f"{read('STATIC_URL', plan.environment)}={root}") if root else ()
