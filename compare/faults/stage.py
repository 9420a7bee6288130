"""One scenario on one server: the load, what goes wrong meanwhile, and the judgement."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from faults.client import Client, Request
from faults.load import Crowd, Load
from faults.outcomes import Attempt, Death, Outcome, Tally, tally
from faults.processes import kill, suspend, wait_for
from faults.servers import Running, Server, Start, StartError, running

SETTLE_SECONDS = 8.0
"""In which a server must be whole again when what went wrong is over."""

NOTHING: frozenset[Outcome] = frozenset()


class Stage:
    """What a scenario acts on. It is used by one thread; the load runs in others."""

    def __init__(self, run: Running, load: Load, pace: float) -> None:
        self.run = run
        self.load = load
        self.pace = pace
        self.began = time.monotonic()
        self.deaths: list[Death] = []
        self.special: list[Attempt] = []
        self.faults: list[str] = []
        self.wanted_workers = run.start.workers
        self.is_ended = False

    def pause(self, seconds: float) -> None:
        """Let the load go on for so long, or less in a quick run."""
        time.sleep(seconds * self.pace)

    def times(self, count: int) -> range:
        """How often to repeat something: so often, or less in a quick run, but once at least."""
        return range(max(1, round(count * self.pace)))

    def expect(self, is_so: object, fault: str) -> None:
        if not is_so:
            self.faults.append(fault)

    def kill(self, pid: int) -> None:
        """Kill a worker; one that has ended already had no connections."""
        with suppress(ProcessLookupError):
            self.deaths.append(kill(pid, self.run.port))

    def suspend(self, pid: int) -> Death:
        return suspend(pid, self.run.port)

    def wait_for_workers(self, seconds: float = SETTLE_SECONDS) -> bool:
        """Whether as many workers as wanted are there within that time."""
        return wait_for(lambda: len(self.run.workers()) == self.wanted_workers, seconds)

    def ask(self, request: Request, *, client: Client | None = None) -> Attempt:
        """A request of the scenario's own."""
        asking = client or Client(self.run.address, "special", keeps=False)
        attempt = asking.ask(request, is_special=True)
        asking.close()
        self.special.append(attempt)
        return attempt


@dataclass(frozen=True, slots=True)
class Scenario:
    """Something that goes wrong.

    `allowed` is what may become of a request besides its answer, at a server that drops nothing; `allowed_special`
    of one that the scenario sends itself.
    """

    name: str
    title: str
    what: str  # is done, and what is expected
    act: Callable[[Stage], None]
    start: Start = field(default_factory=Start)
    crowd: Crowd = field(default_factory=Crowd)
    allowed: frozenset[Outcome] = NOTHING
    allowed_special: frozenset[Outcome] = NOTHING
    missing: Callable[[], str] = lambda: ""  # why it cannot be done on this machine


@dataclass(slots=True)
class Result:
    """What became of one scenario on one server. `unexpected` and `faults` are empty when nothing was dropped."""

    server: str
    counts: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    twice: int = 0
    slowest: float = 0.0  # seconds
    over_a_second: int = 0
    unexpected: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    not_done: str = ""  # why

    @property
    def is_reached(self) -> bool:
        return not (self.not_done or self.unexpected or self.faults)

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "is_reached": self.is_reached}


def perform(scenario: Scenario, server: Server, *, pace: float = 1.0) -> Result:
    """Run a scenario; never raises for what the server does."""
    missing = scenario.missing()
    if missing:
        return Result(server.name, not_done=missing)
    try:
        with running(server, scenario.start) as run:
            load = Load(run.address, scenario.crowd)
            stage = Stage(run, load, pace)
            load.start()
            try:
                scenario.act(stage)
                if not stage.is_ended:
                    _look_whether_it_is_whole(stage)
            finally:
                attempts = [*load.stop(), *stage.special]
            run.end()  # before the journal is read: nothing can be run any more
            found = tally(attempts, run.journal(), stage.deaths, stage.began)
    except StartError as error:
        return Result(server.name, not_done=f"the server did not start: {error}")
    return result_of(server.name, found, stage.faults, scenario.allowed, scenario.allowed_special)


def result_of(
    server: str,
    found: Tally,
    faults: list[str],
    allowed: frozenset[Outcome] = NOTHING,
    allowed_special: frozenset[Outcome] = NOTHING,
) -> Result:
    return Result(
        server=server,
        counts={outcome.value: count for outcome, count in found.counts.items()},
        sent=found.sent,
        twice=found.twice,
        slowest=found.slowest,
        over_a_second=found.over_a_second,
        unexpected=found.unexpected(allowed, allowed_special),
        faults=faults,
        examples=found.examples,
    )


def _look_whether_it_is_whole(stage: Stage) -> None:
    run = stage.run
    if not run.is_running():
        stage.faults.append("the server ended")
        return
    stage.expect(
        stage.wait_for_workers(),
        f"{len(run.workers())} workers at the end in place of {stage.wanted_workers}",
    )
    stage.expect(wait_for(run.answers, SETTLE_SECONDS), "it does not answer at the end")
