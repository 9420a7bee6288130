"""Services beside the application and nginx, such as a database and a queue's worker: created, started, watched."""

import time
from collections.abc import Collection

from kit import certificates, failures, publishing
from kit.release import containers
from kit.release.containers import Container
from kit.release.engine import Done
from kit.release.errors import ReleaseError
from kit.release.site import ONE_SHOT, Site

START_TIMEOUT = 300.0  # seconds for containers whose image is there
INTERVAL = 0.3  # seconds between two looks at them
CHECKED = ("postgres",)
"""Services whose image has a command `check`, which tries the settings."""
NO_COMMAND = (126, 127)
"""Statuses of an image of the user's own, which has none."""
SETTLE = 2.0
"""Seconds in which a program that cannot run has ended; engines restart it then."""


def create(site: Site, services: list[str], *options: str) -> None:
    """Creates what is missing of these services, and replaces what has changed; nothing is started.

    `docker compose up` would also run the release again, on which the application depends. Its --no-deps creates
    containers with another configuration, which the next `docker compose up` replaces.
    """
    check_created(site.engine.run("compose", "create", "--no-build", *options, *services, timeout=START_TIMEOUT))


def check_created(done: Done) -> Done:
    if done.status:
        raise ReleaseError(f"docker compose create: {publishing.explain(done.reason)}")
    return done


def start_services(site: Site, services: list[str], *options: str) -> None:
    create(site, services, *options)
    found = [container for name in services for container in containers.find(site.engine, site.project, name)]
    start_containers(site, [container for container in found if not container.is_up])


def start_containers(site: Site, created: list[Container]) -> None:
    if created:
        site.engine.output("start", *(container.identifier for container in created), timeout=START_TIMEOUT)


def start_servers(site: Site) -> None:
    """One that does not do its work is replaced if its configuration has changed, which may be what mends it. Of the
    others the old release has need, so they wait for the step `others`."""
    found = containers.find(site.engine, site.project)
    ailing = {each.service for each in found if each.is_ailing}
    for wanted, options in ((ailing, ()), (set(site.servers) - ailing, ("--no-recreate",))):
        if services := [name for name in site.servers if name in wanted]:
            start_services(site, services, *options)


def check_servers(site: Site, changed: Collection[str]) -> None:
    """Tries the new settings of a database beside the one that serves, which is replaced only if they work. `changed`:
    the names of the containers that compose would replace. Raises ReleaseError."""
    for each in containers.find(site.engine, site.project):
        if each.service not in CHECKED or each.name not in changed:
            continue
        words = ("run", "--rm", "--no-deps", "--no-TTY", each.service, "check")
        done = site.engine.run("compose", *words, timeout=START_TIMEOUT)
        if done.status and done.status not in NO_COMMAND:
            reason = done.reason.removeprefix(f"{each.service}: ")
            raise ReleaseError(f"{each.service}: {reason}", done.errors.splitlines()[-failures.SHOWN_LINES : -1])


def replace_others(site: Site) -> None:
    """What is missing is started, and what has changed is replaced. Raises ReleaseError if one does not run then."""
    before = {each.identifier for each in _others(site) if each.is_up}
    start_services(site, site.other_services)
    watch(site, before)


def watch(site: Site, before: Collection[str] = ()) -> None:
    """Waits until what the release depends on is healthy, and for a moment for the other services. `before` are the
    containers that were up already. Raises ReleaseError, with the log's last lines, for one that has ended or
    ends again and again."""
    needed = set(site.services.get(ONE_SHOT, {}).get("depends_on") or ())
    began = time.monotonic()
    while found := _others(site):
        for each in found:
            has_failed = each.state in ("restarting", "dead") or (each.restarts and each.identifier not in before)
            if has_failed or (each.state == "exited" and each.failure.exit_status):
                raise failed(site, each)
        waiting = [each for each in found if each.service in needed and each.health != "healthy"]
        passed = time.monotonic() - began
        if waiting and passed > site.patience:
            said = waiting[0].failure.last_check
            raise failed(site, waiting[0], f"not healthy within {site.patience} s: {said}")
        if not waiting and (passed > SETTLE or all(each.identifier in before for each in found)):
            break
        site.output.waiting(began, f"waiting for {', '.join(each.name for each in waiting or found)}")
        time.sleep(INTERVAL)
    for each in found:
        if each.health == "unhealthy":
            site.output.note(f"Warning: {each.service} is unhealthy: {each.failure.last_check}")


def _others(site: Site) -> list[Container]:
    return [each for each in containers.find(site.engine, site.project) if each.service in site.other_services]


def note_certificate(site: Site) -> None:
    """The first attempt may last longer than a deployment, and a failed one ends none."""
    for each in containers.find(site.engine, site.project, "acme"):
        if each.is_up and each.health != "healthy":
            problem = certificates.problem(containers.log_of(site.engine, each.identifier))
            text = f"Warning: acme: {problem}" if problem else "acme has no certificate yet, and goes on trying"
            site.output.note(f"{text} (make logs SERVICE=acme)", certificate=problem)


def failed(site: Site, container: Container, reason: str = "") -> ReleaseError:
    """The error for a container that did not become ready, with its last lines."""
    log = containers.log_of(site.engine, container.identifier)
    state = "restarting" if container.restarts else container.state
    failure = failures.explain(container.failure._replace(state=state), log)
    return ReleaseError(f"{container.name}: {reason or failure.reason}", failure.lines, log)
