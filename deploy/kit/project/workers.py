"""The workers of a project's queues, and the commands that run them."""

import ast
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kit.project.application import root_and_module
from kit.project.modules import statements
from kit.project.names import name_of
from kit.project.procfile import Process
from kit.project.reading import is_readable, parse_text, read_text

WORKERS = {
    "celery": ("Celery", "celery -A {application} worker"),
    "django-rq": ("RQ", "python manage.py rqworker"),
    "rq": ("RQ", "rq worker"),
    "huey": ("Huey", "python manage.py run_huey"),
    "django-q2": ("Django Q", "python manage.py qcluster"),
    "django-q": ("Django Q", "python manage.py qcluster"),
    "django-dramatiq": ("Dramatiq", "python manage.py rundramatiq"),
    "dramatiq": ("Dramatiq", "dramatiq {application}"),
    "procrastinate": ("Procrastinate", "python manage.py procrastinate worker"),
    "django-tasks-rq": ("Django Tasks", "python manage.py rqworker"),
    "django-tasks-db": ("Django Tasks", "python manage.py db_worker"),
    "django-tasks": ("Django Tasks", "python manage.py db_worker"),
}
WITHOUT_DJANGO = {
    "huey": "huey_consumer {application}.huey",
    "procrastinate": "procrastinate --app {application} worker",
}

GRACEFUL: dict[str, tuple[tuple[int, ...], str]] = {"huey": ((3, 4), "--graceful-signal TERM")}
"""The first version with this option, without which a worker interrupts its tasks at each deployment."""

UNKNOWN = "PACKAGE"
"""In a command: what only the owner of the project knows."""

SCHEDULER = re.compile(r"\b(beat|rqscheduler|celerybeat|scheduler|clock)\b")
"""In the name or the command of a process of which there must be only one."""

BEAT = re.compile(r"\bcelery\b.*\bbeat\b")
PLACE_OF_BEAT = re.compile(r"\s(-s|--schedule|-S|--scheduler)\b")
SCHEDULE = "-s /data/celerybeat-schedule"
"""Celery's beat writes into its folder otherwise, which is read-only in the container."""

CELERY = re.compile(r"Celery|\w*celery\w*")
"""What makes Celery's application: its class, or a function of the project's own that is called after it."""

CELERYS_NAMES = ("app", "celery")
"""Celery finds an application of these names in the module that `-A` names."""


@dataclass(frozen=True, slots=True)
class Worker:
    name: str
    origin: str
    command: str


def find(
    by_name: Mapping[str, str],
    commands: Sequence[str],
    folder: Path,
    files: Iterable[Path],
    old: Container[str] = (),
) -> tuple[Worker, ...]:
    """`by_name`: where each distribution is listed. `commands`: the Procfile's, which come first. `old`: those of
    `without_option`."""
    found: dict[str, Worker] = {}
    files = list(files)
    for distribution, (name, usual) in WORKERS.items():
        if distribution not in by_name or name in found:
            continue
        word = usual.split()[0] if usual.split()[0] != "python" else usual.split()[2]
        own = [command for command in commands if re.search(rf"\b{word}\b", command)]
        own.sort(key=lambda command: "worker" not in command)
        if not (folder / "manage.py").is_file():
            usual = WITHOUT_DJANGO.get(distribution, usual)
        if distribution in GRACEFUL and distribution not in old:
            usual += f" {GRACEFUL[distribution][1]}"
        command = own[0] if own else usual.replace("{application}", _application(word, folder, files))
        found[name] = Worker(name, by_name[distribution], command)
    return tuple(found.values())


def without_option(requirements: Iterable[str], lock: str) -> set[str]:
    """Those in GRACEFUL of which a requirement, or the text of a lock, allows only versions without the option."""
    found = set()
    for name, (since, _) in GRACEFUL.items():
        lines = [line for line in requirements if name_of(line) == name]
        bounds = [bound for line in lines for bound in re.findall(r"(==|~=|<=?)\s*([\d.]+)", line)]
        bounds += [("==", text) for text in re.findall(rf'^name = "{name}"\s*^version = "([\d.]+)', lock, re.MULTILINE)]
        for operator, text in bounds:
            most = tuple(int(part) for part in text.split(".") if part)
            if most < since or (operator == "<" and most == since):
                found.add(name)
    return found


def _application(word: str, folder: Path, files: Sequence[Path]) -> str:
    """For `-A`: the package that has a celery.py, as Celery's documentation has it, or the module that makes one."""
    places = [path.parent for path in (*files, *sorted(folder.glob(f"*/{word}.py"))) if path.name == f"{word}.py"]
    if places and places[0] != folder:
        return places[0].name
    made = [one for path in files for one in _made(path, folder)] if word == "celery" else []
    return min(made, key=lambda one: ("celery" not in one, one.count("."), one), default=UNKNOWN)


def _made(path: Path, folder: Path) -> Iterator[str]:
    text = read_text(path) if is_readable(path) else ""
    tree = parse_text(text) if "elery" in text else None
    for statement in statements(tree.body) if tree else ():
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called)) if CELERY.fullmatch(
                ast.unparse(called).rpartition(".")[2]
            ):
                _, module = root_and_module(path, folder)
                yield module if name in CELERYS_NAMES else f"{module}:{name}"


def scheduler(processes: Iterable[Process]) -> Process | None:
    """The process of the Procfile that must run once, such as Celery's beat, with what it needs in the container."""
    for process in processes:
        is_one = SCHEDULER.search(process.name) or SCHEDULER.search(process.command)
        if process.name in ("web", "release") or not is_one or re.search(r"\bworker\b", process.command):
            continue
        needs_place = BEAT.search(process.command) and not PLACE_OF_BEAT.search(process.command)
        return replace(process, command=f"{process.command} {SCHEDULE}") if needs_place else process
    return None
