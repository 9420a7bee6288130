"""What was found in a project, as a short table and as JSON."""

import json
import textwrap
from collections.abc import Iterator

from kit.project import service_text
from kit.project.facts import Project
from kit.project.procfile import Process
from kit.project.reading import relative

WIDTH = 14
"""Of the first column."""

FEW = 8
"""So many names of variables are a line; of more, `make adopt` prints how many there are."""


CRONTAB = "crontab"

DEBUG_IN_THE_CODE = 'strangers would see code and settings; os.environ.get("DEBUG") == "1" is off without a variable'
LARGER_UPLOADS = "UPLOAD_PATHS in .env names the paths that take up to 80 MB"
IN_THE_CODE = (
    'who can read it can forge sessions; os.environ["SECRET_KEY"] reads another one, which runserver then needs too'
)


def lines(project: Project, *, is_short: bool = False) -> Iterator[str]:
    """One line for each fact: what it is, its value, where it was found. `is_short`: a long list is only counted."""
    for name, value in rows(project, is_short=is_short):
        yield f"{name:<{WIDTH}}{value}"


def rows(project: Project, *, is_short: bool = False) -> Iterator[tuple[str, str]]:
    dependencies = project.dependencies
    yield "dependencies", dependencies.file or ", ".join(dependencies.requirements) or "none: no file lists any"
    for unused in dependencies.unused:
        yield "", f"not used: {unused.file} ({unused.reason})"
    for local in dependencies.local:
        yield "", f"installed from the project: {local.path}"
    if names := dependencies.unpinned:
        shown = f"{', '.join(names[:FEW])}{', ...' * (len(names) > FEW)}"
        yield "", f"not pinned: {shown}; the image gets the newest, `pip freeze` lists yours"
    for note in dependencies.notes:
        yield "", note
    for condition in project.python.conditions:
        yield "Python", f"{condition.text} ({condition.origin})"
    for wish, origin in project.python.wishes:
        yield "Python", f"{wish} ({origin})"
    for origin, text in project.python.unused:
        yield "Python", f"not used: {origin} ({text!r} is no version such as 3.12)"
    yield "application", f"{project.application.value} ({project.application.origin})"
    if project.root != ".":
        yield "", f"runs in {project.root}"
    if project.django:
        yield "Django", relative(project.django.manage, project.folder)
    if settings := project.application.settings:
        yield "settings", f"{settings.module} ({settings.origin})"
    for note in project.application.notes:
        yield "", note
    if project.migrations:
        yield "migrations", f"{project.migrations.command} ({project.migrations.origin})"
    if first := project.first_start:
        run_once = f"{first.command} ({first.origin}): run once, while the database is empty"
        yield "database", run_once if first.command else f"{first.note} ({first.origin})"
    if project.fixed_secret_key:
        yield "secret key", f"in the code ({project.fixed_secret_key}): {IN_THE_CODE}"
    if project.debug_in_code:
        yield "DEBUG", f"on in the code ({project.debug_in_code}): {DEBUG_IN_THE_CODE}"
    if project.upload_field:
        yield "uploads", f"{project.upload_field}: files of up to 3 MB; {LARGER_UPLOADS}"
    for example, module in project.settings_examples:
        yield "example", f"{example}: the project may need a {module} like it, which does not exist"
    commands = {worker.command for worker in project.services.workers}
    scheduler = project.services.scheduler
    for process in project.processes:
        is_known = process.command in commands or (scheduler and process.name == scheduler.name)
        if process.name != "web" and not is_known:
            yield "process", f"{process.name}: {process.command} (Procfile:{process.line}): {_not_started(process)}"
    if (project.folder / CRONTAB).is_file():
        yield "crontab", f"{CRONTAB}: cron in COMPOSE_PROFILES of .env runs its lines"
    for build in project.node:
        builds = "NODE_BUILD in .env builds them" if build.is_npms else f"{build.path(build.lock)} is not npm's"
        yield "assets", f"{build.path('package.json')}: npm run build ({build.command}); {builds}"
    if project.system_packages:
        yield "packages", project.system_packages.lines().replace("\n", "; ")
    yield from service_text.lines(project.services)
    for variable in project.environment_names:
        if variable.is_required:
            yield "variable", f"{variable.name}: has no default ({variable.origin})"
    yield from _optional(project, is_short=is_short)


def _not_started(process: Process) -> str:
    if process.name == "release":
        return "not run; the kit's release migrates, or runs MIGRATE_COMMAND"
    return "not started; worker in COMPOSE_PROFILES of .env, and WORKER_COMMAND, run it"


def _optional(project: Project, *, is_short: bool) -> Iterator[tuple[str, str]]:
    names = [variable.name for variable in project.environment_names if not variable.is_required]
    if not names:
        return
    if is_short and len(names) > FEW:
        yield "variables", f"{len(names)} have a default, or may be unset; `make look` lists them"
        return
    first, *rest = textwrap.wrap(f"{', '.join(names)}: have a default, or may be unset", 100)
    yield "variables", first
    for line in rest:
        yield "", line


def as_json(project: Project) -> str:
    """The same facts, for programs."""
    settings = project.application.settings
    dependencies = project.dependencies
    return json.dumps(
        {
            "dependencies": {
                "file": dependencies.file,
                "files": dependencies.files,
                "unused": [{"file": one.file, "reason": one.reason} for one in dependencies.unused],
                "local": [one.path for one in dependencies.local],
                "notes": dependencies.notes,
            },
            "python": {
                "conditions": [{"text": one.text, "origin": one.origin} for one in project.python.conditions],
                "wishes": [{"version": version, "origin": origin} for version, origin in project.python.wishes],
            },
            "application": {
                "value": project.application.value,
                "origin": project.application.origin,
                "notes": project.application.notes,
            },
            "root": project.root,
            "work_folder": project.work_folder,
            "paths": project.paths,
            "manage": relative(project.django.manage, project.folder) if project.django else None,
            "settings": {"module": settings.module, "origin": settings.origin} if settings else None,
            "processes": [{"name": one.name, "command": one.command} for one in project.processes],
            "node": [{"folder": one.folder, "command": one.command, "lock": one.lock} for one in project.node],
            "migrate": project.migrations.command if project.migrations else "",
            "first_start": project.first_start.command if project.first_start else "",
            "runtime_packages": project.system_packages.runtime,
            "services": [
                {"name": one.name, "origin": one.origin, "variables": one.place} for one in project.services.servers
            ],
            "service_names": project.services.names,
            "workers": [{"name": one.name, "command": one.command} for one in project.services.workers],
            "scheduler": project.services.scheduler.command if project.services.scheduler else "",
            "environment": [
                {"name": one.name, "origin": one.origin, "required": one.is_required}
                for one in project.environment_names
            ],
        },
        indent=2,
    )
