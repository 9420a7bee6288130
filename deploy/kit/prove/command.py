"""`make prove`: constant traffic while a site is deployed, rolled back, scaled, moved to another server, and hurt.

It prints what became of each request, writes a picture of it, and its exit status is 1 if one was lost.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kit import targets
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT, RUN
from kit.prove import picture, table
from kit.prove.site import ProofError, Site, temporary
from kit.prove.table import Span
from kit.prove.traffic import Report, Traffic

PICTURE = RUN / "prove.svg"
QUIET = 1.5  # seconds of traffic before the first step and after each
IN_FLIGHT = 1.0
"""Seconds after a worker was killed: what it was doing ends with it, and its failure may take as long to show."""


KILL_SERVER = f"import os; os.kill(int(open('/tmp/backend.pid').read()), {int(signal.SIGKILL)})"


class Step(NamedTuple):
    name: str
    run: Callable[[Any], None]
    """With the site."""
    is_long: bool = False
    """Left out of the short form."""
    kills: bool = False
    """Something is ended by SIGKILL, such as a worker: what it does at that moment cannot be saved by anybody."""


def deploy(site: Site) -> None:
    site.write("two")
    site.kit("deploy")


def deploy_what_cannot_start(site: Site) -> None:
    site.write("bad", 'raise RuntimeError("this release cannot start")')
    said = site.kit("deploy", status=1)
    if "this release cannot start" not in said:
        raise ProofError("deploy: the reason is not in what it printed", said.splitlines()[-20:])


def deploy_what_cannot_migrate(site: Site) -> None:
    site.write("bad")
    site.kit("deploy", status=1, MIGRATE_COMMAND="false")


def roll_back(site: Site) -> None:
    site.kit("rollback")


def scale(count: int) -> Callable[[Site], None]:
    def run(site: Site) -> None:
        site.write("two")
        site.kit("deploy", APP_REPLICAS=str(count))
        if len(site.containers()) != count:
            raise ProofError(f"{len(site.containers())} containers instead of {count}", [])

    return run


def serve_with(backend: str) -> Callable[[Site], None]:
    def run(site: Site) -> None:
        site.kit("deploy", BACKEND=backend)

    return run


def recycle_workers(site: Site) -> None:
    (container,) = site.containers()
    before = set(site.workers(container))
    site.docker("exec", container, "/opt/venv/bin/supervisorctl", "signal", "HUP", "kit:backend")
    _wait(lambda: len(workers := set(site.workers(container))) >= 2 and not workers & before, "the workers are others")


def restart(site: Site) -> None:
    """As `docker compose restart app`: for a moment nothing serves, and requests wait."""
    (container,) = site.containers()
    site.docker("restart", container)
    _wait(lambda: len(site.workers(container)) >= 2, "the server has started")


def kill_server(site: Site) -> None:
    """The master, and with it its workers; supervisord starts another."""
    (container,) = site.containers()
    before = set(site.workers(container))
    site.docker("exec", container, "python3", "-Ic", KILL_SERVER)
    _wait(lambda: len(workers := set(site.workers(container))) >= 2 and not workers & before, "another has started")


def kill_worker(site: Site) -> None:
    (container,) = site.containers()
    before = site.workers(container)
    site.docker("exec", container, "python3", "-Ic", f"import os; os.kill({before[0]}, {int(signal.SIGKILL)})")
    _wait(lambda: len(workers := site.workers(container)) >= 2 and before[0] not in workers, "another has started")


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise ProofError(f"60 s passed, and still not: {what}", [])
        time.sleep(0.2)


STEPS = (
    Step("deploy", deploy),
    Step("deploy a release that cannot start", deploy_what_cannot_start, is_long=True),
    Step("deploy a release that cannot migrate", deploy_what_cannot_migrate, is_long=True),
    Step("roll back", roll_back),
    Step("scale to 3", scale(3), is_long=True),
    Step("scale to 1", scale(1), is_long=True),
    Step("move to gunicorn", serve_with("gunicorn"), is_long=True),
    Step("move to ropewalk", serve_with("ropewalk"), is_long=True),
    Step("recycle the workers", recycle_workers),
    Step("kill a worker", kill_worker, kills=True),
    Step("restart the container", restart),
    Step("kill the server", kill_server, is_long=True, kills=True),
)


def prove(environment: Mapping[str, str]) -> int:
    """The exit status. QUICK=1 is the short form; FAULTS=1, or a word, is another proof (kit.prove.faults).

    Raises KitError if the site does not come up.
    """
    if targets.chosen(environment) == targets.KUBERNETES:
        raise KitError("TARGET='kubernetes': the proof makes a site of its own, by compose or in a swarm")
    if targets.chosen(environment) == targets.SWARM:
        from kit.prove import swarm  # here, since it has this module's steps

        with temporary(environment, swarm.SwarmSite) as site:
            faults = swarm.faults(site) if environment.get("FAULTS") else ()
            return measure(site, choose(environment, swarm.STEPS, faults))
    from kit.prove.faults import STEPS as FAULTS  # as above

    chosen = choose(environment, STEPS, FAULTS)
    with temporary(environment, Site) as site:
        return measure(site, chosen)


def choose(environment: Mapping[str, str], steps: Sequence[Step], faults: Sequence[Step]) -> list[Step]:
    """Raises KitError."""
    if not (wanted := environment.get("FAULTS")):
        return [each for each in steps if not (each.is_long and environment.get("QUICK") == "1")]
    # 1 for all, or a word that the names have to contain, such as SIGKILL or switch
    found = [each for each in faults if wanted == "1" or wanted in each.name]
    if not found:
        names = ", ".join(each.name for each in faults)
        raise KitError(f"FAULTS={wanted!r}: must be 1, or a word in one of these: {names}")
    return found


def measure(site: Site, chosen: Sequence[Step]) -> int:
    """The exit status. Raises KitError if the site does not come up."""
    step("Bringing up a site of its own (minutes, if nothing is cached)")
    site.write("one")
    try:
        site.kit("up")
        clients = site.clients()
    except ProofError as error:
        raise KitError(f"the site does not come up: {error}: {error.lines[-1] if error.lines else ''}") from None
    step(f"{len(clients)} clients, each with a request every {clients[0].interval * 1000:.0f} ms")
    with Traffic(clients) as traffic:
        began = time.monotonic()
        time.sleep(QUIET)
        spans = [run_step(each, site, began, lambda: len(traffic.report().failed)) for each in chosen]
    return conclude(traffic.report(), [span for span in spans if span], len(chosen))


def run_step(each: Step, site: Site, began: float, failed: Callable[[], int]) -> Span | None:
    """None if the step did not do what it had to."""
    before, started = failed(), time.monotonic() - began
    error: ProofError | None = None
    site.killed = None
    try:
        each.run(site)
    except ProofError as caught:
        error = caught
    ended = time.monotonic() - began
    time.sleep(QUIET)
    lost = failed() - before
    step(f"{each.name}: {ended - started:.1f} s, {lost} requests failed" + (" (see below)" if error else ""))
    if error:
        for line in [*error.lines, f"prove: {each.name}: {error}"]:
            print(f"    {line}", file=sys.stderr)
        return None
    if not each.kills:
        return Span(each.name, started, ended)
    return Span(each.name, started, ended, site.killed - began if site.killed else ended + IN_FLIGHT)


def conclude(report: Report, spans: list[Span], count: int) -> int:
    lost, died = table.split(report, spans)
    for line in report.lines()[1:]:
        step(line.strip())
    print("\n".join(["", *table.lines(report, spans), ""]))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(
        picture.draw(report, [(span.name, span.started, span.ended) for span in spans]), encoding="utf-8"
    )
    step(f"The picture: {os.path.relpath(PICTURE, ROOT)}")
    # more than a worker's threads can run at a time would be another fault
    limit = 16
    died_text = f"; {len(died)} ended with what was killed while it ran them" if died else ""
    step(f"{len(lost)} failed of {len(report.requests)}, slowest {report.slowest:.3f} s{died_text}")
    return 0 if not lost and len(died) <= limit and len(spans) == count else 1
