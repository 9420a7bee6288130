"""What became of a request, judged from both ends: what its client saw, and what the application did.

Pure: no sockets, no clocks. A request carries a token that no other has. The application writes each token, with the
process that runs it, to a journal before it answers, and its answer repeats the token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf


class End(Enum):
    """How a request ended, as its client saw it."""

    WHOLE = "a whole answer"
    GARBLED = "what is no answer, or more than one"
    EOF = "the connection ended"
    RESET = "the connection was reset"
    SILENCE = "nothing came in time"
    UNREACHED = "no connection"


class Outcome(Enum):
    """What that means. The first four are told to the client in so many words, or never began."""

    ANSWERED = "answered"
    REFUSED = "refused"  # a whole answer that says no: 503, 504, 500
    UNREACHED = "without a connection"  # there was no connection to begin with
    CLOSED_IDLE = "closed idle"  # a kept connection was closed while the request was on its way, which was not run
    ABORTED = "aborted"  # the connection ended, because the worker that held it was killed
    LOST = "lost"  # accepted, and no whole answer, though nobody killed its worker
    HUNG = "hung"  # neither an answer nor an end
    WRONG = "wrong"  # somebody else's answer, or a false one


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what its client saw. Times are monotonic seconds."""

    token: str
    port: int  # the client's own: names the connection
    began: float
    ended: float
    end: End
    is_first: bool = True  # on its connection
    octets: int = 0  # of an answer
    status: int = 0
    is_right: bool = False  # token, length and content are what was asked for
    pid: int = 0  # who answered, as the answer says
    asked_seconds: float = 0.0  # that the application was asked to take
    is_special: bool = False  # sent by the scenario itself, which says what may become of it

    @property
    def seconds(self) -> float:
        """How long it took, over what it had asked for."""
        return max(0.0, self.ended - self.began - self.asked_seconds)


@dataclass(frozen=True, slots=True)
class Death:
    """A worker that was killed, and the clients' ports of the connections that it held. Times are monotonic seconds."""

    pid: int
    ports: frozenset[int]
    began: float  # since when it did nothing any more
    ended: float = inf  # by when its connections were gone

    def explains(self, attempt: Attempt, pids: Sequence[int]) -> bool:
        """Whether it took the attempt with it: the worker ran it, or held its connection."""
        return self.pid in pids or (
            attempt.port in self.ports and attempt.began <= self.ended and attempt.ended >= self.began
        )


Journal = Mapping[str, Sequence[int]]
"""By token, the processes that ran the request."""


def judge(attempt: Attempt, journal: Journal, deaths: Iterable[Death]) -> Outcome:
    pids = journal.get(attempt.token, ())
    match attempt.end:
        case End.UNREACHED:
            return Outcome.UNREACHED
        case End.GARBLED:
            return Outcome.WRONG
        case End.WHOLE if attempt.status >= 400:
            return Outcome.REFUSED
        case End.WHOLE:
            is_true = attempt.is_right and attempt.pid in pids
            return Outcome.ANSWERED if is_true else Outcome.WRONG
        case End.SILENCE:
            return Outcome.HUNG
    if any(death.explains(attempt, pids) for death in deaths):
        return Outcome.ABORTED
    if not attempt.is_first and not attempt.octets and not pids:
        return Outcome.CLOSED_IDLE
    return Outcome.LOST


@dataclass(slots=True)
class Tally:
    """The outcomes of one run, counted."""

    counts: dict[Outcome, int]
    special: dict[Outcome, int]  # of those, the scenario's own
    twice: int  # requests that the application ran more than once
    slowest: float  # seconds, of the answered
    over_a_second: int  # answered, but so late
    examples: list[str]  # of what should not be

    @property
    def sent(self) -> int:
        """Requests on a connection that the server, or its kernel, had accepted."""
        return sum(self.counts.values()) - self.counts[Outcome.UNREACHED]

    def unexpected(self, allowed: frozenset[Outcome], allowed_special: frozenset[Outcome]) -> dict[str, int]:
        """What should not have happened, by its name, and how often."""
        found = {}
        for outcome, count in self.counts.items():
            special = self.special[outcome]
            fault = (special if outcome not in allowed_special else 0) + (
                count - special if outcome not in allowed else 0
            )
            if outcome is not Outcome.ANSWERED and fault:
                found[outcome.value] = fault
        if self.twice:
            found["run twice"] = self.twice
        return found


MAX_EXAMPLES = 5
_WORTH_SHOWING = frozenset({Outcome.LOST, Outcome.HUNG, Outcome.WRONG, Outcome.CLOSED_IDLE, Outcome.REFUSED})


def tally(attempts: Iterable[Attempt], journal: Journal, deaths: Sequence[Death], origin: float = 0.0) -> Tally:
    """Judge and count; `origin` is the moment from which the examples tell their times."""
    counts = dict.fromkeys(Outcome, 0)
    special = dict.fromkeys(Outcome, 0)
    slowest, late = 0.0, 0
    examples: list[str] = []
    for attempt in sorted(attempts, key=lambda attempt: attempt.ended):
        outcome = judge(attempt, journal, deaths)
        counts[outcome] += 1
        special[outcome] += attempt.is_special
        if outcome is Outcome.ANSWERED:
            slowest = max(slowest, attempt.seconds)
            late += attempt.seconds > 1
        elif outcome in _WORTH_SHOWING and len(examples) < MAX_EXAMPLES:
            examples.append(_described(attempt, outcome, journal, origin))
    twice = sum(len(pids) > 1 for pids in journal.values())
    return Tally(counts, special, twice, slowest, late, examples)


def _described(attempt: Attempt, outcome: Outcome, journal: Journal, origin: float) -> str:
    place = "first on its connection" if attempt.is_first else "on a kept connection"
    ran = "was run" if attempt.token in journal else "was not run"
    status = f" {attempt.status}" if attempt.status else ""
    began, took = attempt.began - origin, attempt.ended - attempt.began
    return (
        f"{outcome.value}: {attempt.token}, sent at {began:.3f} s, {place}, {ran}; "
        f"{attempt.end.value}{status} after {took:.3f} s and {attempt.octets} octets"
    )
