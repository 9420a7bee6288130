"""The services of a stack as Swarm knows them: what is given to it, and how that ends."""

import json
import re
import tempfile
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kit import failures
from kit.paths import ROOT
from kit.release.errors import ReleaseError
from kit.release.site import Site
from kit.swarm.files import File
from kit.swarm.stack import RELEASE_LABEL
from kit.swarm.tasks import NAMESPACE

OWNER = "ropewalk.stack"
"""The label of secrets and configs: the stack that they were made for."""

PAUSE = 0.5  # seconds between two looks
JOB_TIMEOUT = 12 * 3600.0  # a migration's; Ctrl-C ends it before
UPDATE_TIMEOUT = 3600.0
STACK_TIMEOUT = 300.0
PENDING = 30.0
"""Seconds after which a task that no node can run is a failure."""

COUNTS = re.compile(r"(\d+)/(\d+)(?: \((\d+)/(\d+) completed\))?")
FAILED = ("Failed", "Rejected", "Orphaned")
BLAMED = re.compile(r"due to failure or early termination of task (\w+)")
"""In the message of an update that Swarm takes back."""
GOING_ON = ("updating", "rollback_started")
ENDED = {"completed": True, "rollback_completed": False, "rollback_paused": False, "paused": False}
"""States of an update, and whether it is what was wanted."""


class Task(NamedTuple):
    identifier: str
    node: str
    state: str
    """Running, Complete, Failed, Rejected, Pending, ..."""
    error: str


class Count(NamedTuple):
    running: int
    wanted: int
    completed: int
    """Of a job; 0 for others."""
    to_complete: int

    @property
    def is_complete(self) -> bool:
        return self.to_complete > 0 and self.completed >= self.to_complete


def deploy(site: Site, content: Mapping[str, Any]) -> None:
    """`docker stack deploy`: it creates and changes the services of the file, and leaves the others alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=_folder(), encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        words = ("--with-registry-auth", "--resolve-image", "never", "--compose-file", file.name, site.project)
        done = site.engine.run("stack", "deploy", *words, timeout=STACK_TIMEOUT)
    if done.status:
        raise ReleaseError(f"docker stack deploy: {done.reason}")


def _folder() -> Path:
    folder = ROOT / ".run"
    folder.mkdir(exist_ok=True)
    return folder


def check_files(site: Site, wanted: Iterable[File]) -> None:
    """Raises ReleaseError for a secret that somebody else has to create, and has not."""
    if named := [file.name for file in wanted if file.content is None]:
        found = site.engine.output("secret", "ls", "--format", "{{.Name}}").split()
        for name in named:
            if name not in found:
                raise ReleaseError(f"the swarm has no secret {name}: docker secret create {name} FILE")


def create_files(site: Site, wanted: Iterable[File]) -> None:
    """Secrets and configs that the swarm has not yet."""
    for kind in ("secret", "config"):
        found = set(site.engine.output(kind, "ls", "--format", "{{.Name}}").split())
        for file in wanted:
            if file.kind != kind or file.name in found or file.content is None:
                continue
            with tempfile.NamedTemporaryFile(dir=_folder()) as kept:  # its mode is 0600
                kept.write(file.content)
                kept.flush()
                label = f"--label={OWNER}={site.project}"
                site.engine.output(kind, "create", label, file.name, kept.name)


def remove_files(site: Site, kept: set[str]) -> None:
    """Those of the stack that no service names now or would go back to, beside `kept`."""
    names = " ".join(json.dumps(inspect(site, name)) for name in all_of(site))
    for kind in ("secret", "config"):
        listed = site.engine.output(kind, "ls", "--filter", f"label={OWNER}={site.project}", "--format", "{{.Name}}")
        for name in listed.split():
            if name not in kept and name not in names:
                site.engine.run(kind, "rm", name)


def all_of(site: Site) -> list[str]:
    """The names of the stack's services, without the stack's."""
    own = f"label={NAMESPACE}={site.project}"
    listed = site.engine.output("service", "ls", "--filter", own, "--format", "{{.Name}}")
    return [name.removeprefix(f"{site.project}_") for name in listed.split()]


def inspect(site: Site, name: str) -> dict[str, Any]:
    """Empty if there is no such service."""
    done = site.engine.run("service", "inspect", f"{site.project}_{name}")
    return dict(json.loads(done.output)[0]) if done.status == 0 else {}


def release(site: Site) -> str:
    """The tag of the one that Swarm has been given last, and has not taken back; empty if there is none."""
    return str(inspect(site, "app").get("Spec", {}).get("Labels", {}).get(RELEASE_LABEL, ""))


def template(service: Mapping[str, Any]) -> Any:
    """What makes an update necessary if it changes."""
    return service.get("Spec", {}).get("TaskTemplate")


def replicas(service: Mapping[str, Any]) -> int:
    """0 if there is no such service."""
    return int(service.get("Spec", {}).get("Mode", {}).get("Replicated", {}).get("Replicas", 0))


def remove(site: Site, name: str) -> None:
    site.engine.run("service", "rm", f"{site.project}_{name}")


def tasks(site: Site, name: str) -> list[Task]:
    """The newest first."""
    rows = site.engine.output("service", "ps", "--no-trunc", "--format", "{{json .}}", f"{site.project}_{name}")
    found = [json.loads(row) for row in rows.splitlines()]
    return [Task(row["ID"], row["Node"], row["CurrentState"].split(" ")[0], row["Error"].strip('"')) for row in found]


def count(site: Site, name: str) -> Count:
    full = f"{site.project}_{name}"
    listed = site.engine.output("service", "ls", "--filter", f"name={full}", "--format", "{{.Name}}\t{{.Replicas}}")
    rows = dict(line.split("\t", 1) for line in listed.splitlines())
    return read_count(rows.get(full, ""))


def read_count(text: str) -> Count:
    """2/3, 2/3 (max 1 per node), or 0/1 (1/1 completed)."""
    found = COUNTS.match(text)
    return Count(*(int(each or 0) for each in found.groups())) if found else Count(0, 0, 0, 0)


def log_of(site: Site, name: str) -> str:
    """Of a service, or of a task. Both streams."""
    return site.engine.run("service", "logs", "--raw", name, merge=True).output


def wait_job(site: Site, name: str) -> None:
    """Until each of its tasks has succeeded. Raises ReleaseError, and InterruptedByUser; the job is removed then."""
    began = time.monotonic()
    try:
        while not count(site, name).is_complete:
            _check_time(began, JOB_TIMEOUT, name)
            found = tasks(site, name)
            if failed := next((task for task in found if task.state in FAILED), None):
                raise failure(site, name, failed)
            check_pending(found, began, name)
            site.output.waiting(began, f"waiting for {name}")
            time.sleep(PAUSE)
    except BaseException:
        with site.engine.signals.shielded():
            remove(site, name)
        raise


def wait_update(site: Site, name: str, before: Mapping[str, Any], known: Container[str]) -> None:
    """Until the containers are those that were asked for, and have run for the time that Swarm watches them.

    `before`: what `inspect` said before the call, and `known` the identifiers of the tasks. Raises ReleaseError if
    Swarm has taken them back, or they do not start.
    """
    began, blamed = time.monotonic(), ""
    while True:
        found = inspect(site, name)
        # each call removes it, so what there is belongs to this one
        update = found.get("UpdateStatus") or {}
        state = update.get("State", "")
        blamed = said[1] if (said := BLAMED.search(update.get("Message", ""))) else blamed
        is_update = bool(state) or (bool(before) and template(found) != template(before))
        news = [task for task in tasks(site, name) if task.identifier not in known]
        failed = next((task for task in news if task.state in FAILED), None)
        if is_update and state in ENDED:
            if ENDED[state]:
                return
            raise _taken_back(site, name, next((task for task in news if task.identifier == blamed), failed), state)
        if not is_update:
            counted = count(site, name)
            # more: Swarm counts what ran on a node that is down, until that comes back
            if counted.wanted and counted.running >= counted.wanted:
                return
            if failed:
                raise failure(site, name, failed)
            check_pending(news, began, name)
        _check_time(began, UPDATE_TIMEOUT, name)
        site.output.waiting(began, f"{name}: {state or 'starting'}")
        time.sleep(PAUSE)


def _taken_back(site: Site, name: str, failed: Task | None, state: str) -> ReleaseError:
    error = failure(site, name, failed) if failed else ReleaseError(f"{name}: Swarm says {state}")
    if state == "rollback_completed":
        site.output.note("Swarm has taken the update back: the release from before serves")
    else:
        site.output.note(f"Swarm says {state}: docker service ps {site.project}_{name}")
    return error


def failure(site: Site, name: str, task: Task) -> ReleaseError:
    log = log_of(site, task.identifier) if task.node else ""
    # Swarm stops a container that is unhealthy; the server then ends as it should
    health = "unhealthy" if task.state not in FAILED or "unhealthy" in task.error else ""
    ended = failures.Container(name, task.identifier, "running" if health else "exited", 1, health, "", task.error)
    found = failures.explain(ended, log)
    said = found.reason if log.strip() else task.error or f"its task is {task.state.lower()}"
    place = f" (on {task.node})" if task.node else ""
    return ReleaseError(f"{name}: {said}{place}", found.lines, log)


def check_pending(found: Iterable[Task], began: float, name: str) -> None:
    """Raises ReleaseError for a task that no node can run, once it has waited for some time."""
    if time.monotonic() - began < PENDING:
        return
    for task in found:
        if task.state == "Pending" and task.error:
            raise ReleaseError(f"{name}: no node can run it: {task.error}")


def _check_time(began: float, timeout: float, name: str) -> None:
    if time.monotonic() - began > timeout:
        raise ReleaseError(f"{name}: not done within {timeout:.0f} s")
