"""The status of a server at one moment: what each worker reports to the master, and what the master reports to clients.

These are the only definitions of its keys. A worker's part travels as JSON over its channel, and `ropewalk status
--json` and `/status.json` print the whole: every type here is a plain dict with text keys. Counters only grow, so those
of several workers can be added, and two moments can be subtracted (`metrics.counters`). This module holds only types,
which others import under TYPE_CHECKING: a server starts without making them.
"""

from __future__ import annotations

from typing import TypedDict


class Histogram(TypedDict):
    buckets: dict[str, int]
    """Count by upper bound; each bucket counts alone, without those below it."""
    seconds: float
    """The sum of all durations."""


class RequestCounters(TypedDict):
    """What a worker has counted of requests since it started."""

    responses: dict[str, int]
    """Of the application, by class of status."""
    duration: Histogram
    """From the start of the application to the end of its response."""
    queue: Histogram
    """From a trusted proxy's X-Request-Start to the start of the application."""
    sent_bytes: int
    """Heads too."""
    received_bytes: int
    """Of request content."""
    aborted: int
    """Responses of which the peer did not take all."""
    refused: dict[str, int]
    """Responses of the server itself, by status code."""
    shed: dict[str, int]
    """Requests and connections refused because of overload, by reason."""
    closed_idle: dict[str, int]
    """Idle connections closed to let new ones in, by what had run out."""


class Counters(RequestCounters):
    """What a worker has counted since it started."""

    log_messages: dict[str, int]
    """By level; messages with an exception count as `exception` only."""
    log_lost: dict[str, int]
    """Lines that could not be written, by log."""


class Threads(TypedDict):
    active: int
    parked: int
    limit: int
    """How many may be active at present; those for streams (--stream-threads) do not count."""


class Gauges(TypedDict):
    """How busy a worker is."""

    in_flight: int
    """Requests inside the application."""
    streaming: int
    """Those of them whose responses stream."""
    waiting: int
    """Complete requests that wait for a thread."""
    threads: Threads
    connections: dict[str, int]
    """By state."""
    waiting_for_clients: int
    """Threads that wait until a slow client has taken more of its response."""
    buffered_bytes: dict[str, int]
    """What clients have made the worker keep, by what it is."""


class RunningRequest(TypedDict):
    thread: int
    """The thread's ident."""
    request: str
    seconds: float


class WorkerSnapshot(TypedDict):
    """What a worker replies when the master asks for its status."""

    counters: Counters
    gauges: Gauges
    running: list[RunningRequest]


class WorkerStatus(TypedDict):
    pid: int
    state: str
    age: float
    """Seconds since the fork."""
    resident: int
    """Bytes of memory."""
    snapshot: WorkerSnapshot | None
    """None if the worker did not reply in time, or was not asked yet."""


class UpgradeStatus(TypedDict):
    predecessor: int
    """Process id of the master that this one replaces; 0 if there is none."""
    successor: int
    """Process id of the master that replaces this one; 0 if there is none."""
    successor_ready: bool
    last_failure: str


class MasterStatus(TypedDict):
    """What the master knows without asking its workers."""

    pid: int
    state: str
    ready: bool
    """Whether new requests are welcome."""
    uptime: float
    resident: int
    target: int
    """How many workers there should be."""
    last_reload_failure: str
    events: dict[str, int]
    """What happened to workers and reloads since the start, by name."""
    workers: list[WorkerStatus]
    upgrade: UpgradeStatus


class ServerStatus(MasterStatus):
    """The status that clients see."""

    version: str
    build: str
    """`pure` or `compiled`."""
    totals: Counters
    """Of all workers, including those that have exited."""
    gauges: Gauges
    """Of all workers that replied."""
