"""The outcome of a request, from what its client observed and what the application recorded.

Pure functions: no sockets and no clocks. Each request carries a unique token. The application writes the token with its
process ID to a journal before it responds, and repeats it in the response.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf


class End(Enum):
    """How a request ended for its client."""

    COMPLETE = "a complete response"
    MALFORMED = "not a valid response, or more than one"
    CLOSED = "the connection was closed"
    RESET = "the connection was reset"
    TIMEOUT = "nothing came in time"
    NOT_CONNECTED = "no connection"


class Outcome(Enum):
    """The judgement of a request."""

    COMPLETED = "completed"
    ERROR_RESPONSE = "error response"  # a complete 500, 503 or 504
    NOT_CONNECTED = "not connected"
    IDLE_CLOSE = "idle close"  # a keep-alive connection closed while the request was on its way; it did not run
    ABORTED = "aborted"  # the connection ended because the worker that held it was killed
    LOST = "lost"  # accepted, but no complete response although its worker was not killed
    TIMED_OUT = "timed out"  # neither a response nor a close
    WRONG = "wrong"  # the response of another request, or a malformed one


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as its client observed it. Times are monotonic seconds."""

    token: str
    port: int  # of the client: it identifies the connection
    began: float
    ended: float
    end: End
    is_first: bool = True  # on its connection
    received_bytes: int = 0
    status: int = 0
    is_right: bool = False  # token, length and content are as requested
    pid: int = 0  # the worker, from the response
    requested_seconds: float = 0.0  # for which the application was asked to run
    is_probe: bool = False  # sent by the scenario itself, which says what may become of it

    @property
    def seconds(self) -> float:
        """The time it took beyond what was requested."""
        return max(0.0, self.ended - self.began - self.requested_seconds)


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """A killed worker, and the client ports of the connections it held. Times are monotonic seconds."""

    pid: int
    ports: frozenset[int]
    began: float  # when it stopped running
    ended: float = inf  # when its connections were closed

    def explains(self, attempt: Attempt, pids: Sequence[int]) -> bool:
        """Whether the worker ran the request or held its connection."""
        return self.pid in pids or (
            attempt.port in self.ports and attempt.began <= self.ended and attempt.ended >= self.began
        )


Journal = Mapping[str, Sequence[int]]
"""By token, the processes that ran the request."""


def judge(attempt: Attempt, journal: Journal, deaths: Iterable[WorkerDeath]) -> Outcome:
    pids = journal.get(attempt.token, ())
    match attempt.end:
        case End.NOT_CONNECTED:
            return Outcome.NOT_CONNECTED
        case End.MALFORMED:
            return Outcome.WRONG
        case End.COMPLETE if attempt.status >= 400:
            return Outcome.ERROR_RESPONSE
        case End.COMPLETE:
            is_own = attempt.is_right and attempt.pid in pids
            return Outcome.COMPLETED if is_own else Outcome.WRONG
        case End.TIMEOUT:
            return Outcome.TIMED_OUT
    if any(death.explains(attempt, pids) for death in deaths):
        return Outcome.ABORTED
    if not attempt.is_first and not attempt.received_bytes and not pids:
        return Outcome.IDLE_CLOSE
    return Outcome.LOST


@dataclass(slots=True)
class Tally:
    """The outcomes of one run, counted."""

    counts: dict[Outcome, int]
    probes: dict[Outcome, int]  # how many of those are the scenario's own requests
    duplicated: int  # requests that the application ran more than once
    slowest: float  # seconds, of the completed requests
    over_a_second: int  # completed requests that took longer
    examples: list[str]  # of outcomes to look into

    @property
    def sent(self) -> int:
        """Requests on a connection that the server, or its kernel, had accepted."""
        return sum(self.counts.values()) - self.counts[Outcome.NOT_CONNECTED]

    def unexpected(self, allowed: frozenset[Outcome], allowed_for_probes: frozenset[Outcome]) -> dict[str, int]:
        """The outcomes that are neither completed nor allowed, by name."""
        found = {}
        for outcome, count in self.counts.items():
            probes = self.probes[outcome]
            surplus = (probes if outcome not in allowed_for_probes else 0) + (
                count - probes if outcome not in allowed else 0
            )
            if outcome is not Outcome.COMPLETED and surplus:
                found[outcome.value] = surplus
        if self.duplicated:
            found["duplicated"] = self.duplicated
        return found


MAX_EXAMPLES = 5
_NOTABLE = frozenset({Outcome.LOST, Outcome.TIMED_OUT, Outcome.WRONG, Outcome.IDLE_CLOSE, Outcome.ERROR_RESPONSE})


def tally(attempts: Iterable[Attempt], journal: Journal, deaths: Sequence[WorkerDeath], origin: float = 0.0) -> Tally:
    """Judge and count the attempts. Times in the examples count from `origin`."""
    counts = dict.fromkeys(Outcome, 0)
    probes = dict.fromkeys(Outcome, 0)
    slowest, late = 0.0, 0
    examples: list[str] = []
    for attempt in sorted(attempts, key=lambda attempt: attempt.ended):
        outcome = judge(attempt, journal, deaths)
        counts[outcome] += 1
        probes[outcome] += attempt.is_probe
        if outcome is Outcome.COMPLETED:
            slowest = max(slowest, attempt.seconds)
            late += attempt.seconds > 1
        elif outcome in _NOTABLE and len(examples) < MAX_EXAMPLES:
            examples.append(_description(attempt, outcome, journal, origin))
    duplicated = sum(len(pids) > 1 for pids in journal.values())
    return Tally(counts, probes, duplicated, slowest, late, examples)


def _description(attempt: Attempt, outcome: Outcome, journal: Journal, origin: float) -> str:
    place = "first on its connection" if attempt.is_first else "on a keep-alive connection"
    ran = "ran" if attempt.token in journal else "did not run"
    status = f" {attempt.status}" if attempt.status else ""
    began, took = attempt.began - origin, attempt.ended - attempt.began
    return (
        f"{outcome.value}: {attempt.token}, sent at {began:.3f} s, {place}, {ran}; "
        f"{attempt.end.value}{status} after {took:.3f} s and {attempt.received_bytes} bytes"
    )
