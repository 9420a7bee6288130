"""The queues among a project's dependencies, and the commands that run their workers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

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
}


@dataclass(frozen=True, slots=True)
class Worker:
    name: str
    origin: str
    command: str


def find(
    by_name: Mapping[str, str], commands: Iterable[str], folder: Path, modules: Iterable[Path]
) -> tuple[Worker, ...]:
    """`by_name`: where each queue among the dependencies is listed; `commands`: of the Procfile."""
    found: dict[str, Worker] = {}
    for distribution, (name, usual) in WORKERS.items():
        if distribution not in by_name or name in found:
            continue
        word = usual.split()[0] if usual.split()[0] != "python" else usual.split()[2]
        own = [command for command in commands if re.search(rf"\b{word}\b", command)]
        own.sort(key=lambda command: "worker" not in command)
        command = own[0] if own else usual.replace("{application}", _application_of(word, folder, modules))
        found[name] = Worker(name, by_name[distribution], command)
    return tuple(found.values())


def _application_of(word: str, folder: Path, modules: Iterable[Path]) -> str:
    """The module for `celery -A`: the package that has a celery.py, as Celery's documentation has it for Django."""
    places = [path.parent for path in modules if path.name == f"{word}.py"]
    places += [path.parent for path in sorted(folder.glob(f"*/{word}.py"))]
    return places[0].name if places and places[0] != folder else "PACKAGE"
