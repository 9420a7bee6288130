"""One scenario on one server: the load, the fault that is injected meanwhile, and the judgement."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from faults.run.client import Client, Request
from faults.run.load import Clients, Load
from faults.run.outcomes import Attempt, Outcome, Tally, WorkerDeath, tally
from faults.run.processes import kill, suspend, wait_for
from faults.run.server_process import ServerProcess, StartError, running
from faults.run.servers import Server, Start

RECOVERY_SECONDS = 8.0
"""Within which a server must have recovered after the fault."""

NOTHING: frozenset[Outcome] = frozenset()


class ScenarioRun:
    """What an injection works with: the server, the load, and a record of what it did. One thread uses it."""

    def __init__(self, server: ServerProcess, load: Load, pace: float) -> None:
        self.server = server
        self.load = load
        self.pace = pace
        self.began = time.monotonic()
        self.deaths: list[WorkerDeath] = []
        self.probes: list[Attempt] = []
        self.failures: list[str] = []
        self.has_stopped = False  # the scenario stops the server, which need not recover

    def pause(self, seconds: float) -> None:
        """Let the load run for that time, or less in a quick run."""
        time.sleep(seconds * self.pace)

    def times(self, count: int) -> range:
        """Repeat something that often, or less in a quick run, but at least once."""
        return range(max(1, round(count * self.pace)))

    def expect(self, is_so: object, failure: str) -> None:
        if not is_so:
            self.failures.append(failure)

    def kill(self, pid: int) -> None:
        """Kill a worker, unless it has exited."""
        with suppress(ProcessLookupError):
            self.deaths.append(kill(pid, self.server.port))

    def suspend(self, pid: int) -> WorkerDeath:
        return suspend(pid, self.server.port)

    def probe(self, request: Request, *, client: Client | None = None) -> Attempt:
        """Send a request of the scenario's own."""
        client = client or Client(self.server.address, "probe", keeps_alive=False)
        attempt = client.request(request, is_probe=True)
        client.close()
        self.probes.append(attempt)
        return attempt


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, and the outcomes that a server may have and still drop nothing.

    `allowed` is for the load, `allowed_for_probes` for the requests that the scenario itself sends.
    """

    name: str
    title: str
    description: str  # what is done and what is expected
    inject: Callable[[ScenarioRun], None]
    start: Start = field(default_factory=Start)
    clients: Clients = field(default_factory=Clients)
    allowed: frozenset[Outcome] = NOTHING
    allowed_for_probes: frozenset[Outcome] = NOTHING
    missing: Callable[[], str] = lambda: ""  # why this machine cannot run it


@dataclass(slots=True)
class Result:
    """The result of one scenario on one server. It passed if `unexpected` and `failures` are empty."""

    server: str
    counts: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    duplicated: int = 0
    slowest: float = 0.0  # seconds
    over_a_second: int = 0
    unexpected: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    skipped: str = ""  # why

    @property
    def has_passed(self) -> bool:
        return not (self.skipped or self.unexpected or self.failures)


def run_scenario(scenario: Scenario, server: Server, *, pace: float = 1.0) -> Result:
    """Run a scenario. Whatever the server does is in the result."""
    missing = scenario.missing()
    if missing:
        return Result(server.name, skipped=missing)
    try:
        with running(server, scenario.start) as process:
            load = Load(process.address, scenario.clients)
            run = ScenarioRun(process, load, pace)
            load.start()
            try:
                scenario.inject(run)
                if not run.has_stopped:
                    _expect_recovery(run)
            finally:
                attempts = [*load.stop(), *run.probes]
            process.stop()  # so that nothing runs any more when the journal is read
            found = tally(attempts, process.journal(), run.deaths, run.began)
    except StartError as error:
        return Result(server.name, skipped=f"the server did not start: {error}")
    return _result(server.name, found, run.failures, scenario)


def _result(server: str, found: Tally, failures: list[str], scenario: Scenario) -> Result:
    return Result(
        server=server,
        counts={outcome.value: count for outcome, count in found.counts.items()},
        sent=found.sent,
        duplicated=found.duplicated,
        slowest=found.slowest,
        over_a_second=found.over_a_second,
        unexpected=found.unexpected(scenario.allowed, scenario.allowed_for_probes),
        failures=failures,
        examples=found.examples,
    )


def _expect_recovery(run: ScenarioRun) -> None:
    server = run.server
    if not server.is_running():
        run.failures.append("the server exited")
        return
    wanted = server.start.workers
    has_workers = wait_for(lambda: len(server.workers()) == wanted, RECOVERY_SECONDS)
    run.expect(has_workers, f"{len(server.workers())} workers at the end instead of {wanted}")
    run.expect(wait_for(server.responding_worker, RECOVERY_SECONDS), "no response at the end")
