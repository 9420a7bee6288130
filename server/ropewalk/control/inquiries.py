"""What clients ask of the master: its status with that of its workers, which the master has to query first.

A query is sent over the channel of every worker, and is complete when all have replied or after a second (a worker may
be stopped, or hold the GIL). Main thread of the master only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ropewalk.control.server import ControlListener
from ropewalk.metrics.counters import add_counters, add_gauges, no_counters
from ropewalk.process.master.api import MasterApi
from ropewalk.process.master.worker_handle import WorkerHandle

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import ServerStatus

QUERY_SECONDS = 1.0
"""A worker replies within milliseconds, or a tenth of a second if many of its threads are busy."""

Results = Mapping[int, Any]
"""By process id; None for a worker that did not reply."""


class Pollable(Protocol):
    """What the master's poll loop serves: a control listener, or anything else that never blocks."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """File descriptors, with the poll events to wait for on each."""

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until something is to be done without an event; None if nothing is."""

    def handle_events(self, ready: set[int]) -> None:
        """Handle what arrived, and what is due; `ready` may hold file descriptors of other owners."""

    def close(self) -> None:
        """Close everything, in a forked child or at the end."""


class _Query(NamedTuple):
    deadline: float
    missing: set[int]
    results: dict[int, Any]
    done: Callable[[Results], None]


class ControlHub:
    """The `ControlPort` of a master with control listeners: serves them, and queries the workers for them."""

    def __init__(self, *, version: str = "", build: str = "") -> None:
        """`version` and `build` are part of the status."""
        self.version = version
        self.build = build
        self.master: MasterApi
        """Set by the master before anything else is called."""
        self._exited = no_counters()
        """The final counters of workers that have exited, added up."""
        self._members: list[Pollable] = []
        self._shared: list[ControlListener] = []
        self._queries: dict[int, _Query] = {}
        self._last_number = 0

    def add(self, member: Pollable) -> None:
        self._members.append(member)

    def add_shared(self, listener: ControlListener) -> None:
        """Add a listener whose socket both masters of an upgrade have; one of them serves it."""
        self._members.append(listener)
        self._shared.append(listener)

    # For clients

    def is_ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.master.status()["ready"]

    def status(self, done: Callable[[ServerStatus], None]) -> None:
        """Call `done` with the status of the server, once the workers have replied."""
        self.ask_workers("status", lambda snapshots: done(self._make_status(snapshots)))

    def ask_workers(self, name: str, done: Callable[[Results], None]) -> None:
        """Query every worker that has booted; `done` is called with the results, possibly at once."""
        self._last_number += 1
        number = self._last_number
        channels = {worker.pid: worker.channel for worker in self.master.workers() if worker.channel is not None}
        results: dict[int, Any] = dict.fromkeys(channels)
        asked = {pid for pid, channel in channels.items() if channel.send_query(number, name)}
        if asked:
            self._queries[number] = _Query(time.monotonic() + QUERY_SECONDS, asked, results, done)
        else:
            done(results)

    def _make_status(self, snapshots: Results) -> ServerStatus:
        status = self.master.status()
        for worker in status["workers"]:
            worker["snapshot"] = snapshots.get(worker["pid"])
        counters = [worker.counters for worker in self.master.workers() if worker.counters is not None]
        replied = [worker["snapshot"] for worker in status["workers"] if worker["snapshot"] is not None]
        return {
            "version": self.version,
            "build": self.build,
            **status,
            "totals": add_counters([self._exited, *counters]),
            "gauges": add_gauges(snapshot["gauges"] for snapshot in replied),
        }

    # For the master

    def attach(self, master: MasterApi) -> None:
        """Called once, before anything else."""
        self.master = master

    def pollable(self) -> Iterator[tuple[int, int]]:
        """File descriptors, with the poll events to wait for on each. (The master polls the channels itself.)"""
        for member in self._members:
            yield from member.pollable()

    def seconds_until_due(self, now: float) -> float | None:
        """Seconds until a query times out or a member is due; None if there is nothing to wait for."""
        waits = [max(0.0, query.deadline - now) for query in self._queries.values()]
        waits += [seconds for member in self._members if (seconds := member.seconds_until_due(now)) is not None]
        return min(waits, default=None)

    def handle_events(self, ready: set[int]) -> None:
        """Read what workers replied, complete queries, and serve the members."""
        for worker in self.master.workers():
            if worker.channel is not None and worker.channel.fileno() in ready:
                for line in worker.channel.read_results():
                    self._take_result(worker, line["id"], line["result"])
        self._complete_queries()
        for member in self._members:
            member.handle_events(ready)

    def set_standby(self, is_standby: bool) -> None:
        """Leave the shared listeners to the other master, or take them back."""
        for listener in self._shared:
            listener.is_standby = is_standby

    def worker_exited(self, worker: WorkerHandle) -> None:
        """A worker was reaped: wait no longer for its results, and keep its final counters."""
        for query in self._queries.values():
            query.missing.discard(worker.pid)
        if worker.counters is not None:
            self._exited = add_counters([self._exited, worker.counters])

    def close(self) -> None:
        """Close everything, in a forked child or at the end."""
        for member in self._members:
            member.close()
        self._members.clear()
        self._queries.clear()

    def _take_result(self, worker: WorkerHandle, number: int, result: Any) -> None:
        if isinstance(result, dict) and "counters" in result:
            worker.counters = result["counters"]
        query = self._queries.get(number)
        if query is not None and worker.pid in query.missing:
            query.missing.discard(worker.pid)
            query.results[worker.pid] = result

    def _complete_queries(self) -> None:
        now = time.monotonic()
        for number, query in list(self._queries.items()):
            if not query.missing or now >= query.deadline:
                del self._queries[number]
                query.done(query.results)
