"""One server of the soak: what has been recorded of it, and how it is measured."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from faults.run.client import TIMEOUT
from faults.run.outcomes import Attempt, WorkerDeath
from faults.run.processes import client_ports, wait_for
from faults.run.server_process import ServerProcess
from faults.soak.footprint import Footprint, InUse, measure

IDLE_SECONDS = 20.0  # within which a server has let go of everything
SETTLED_SECONDS = 0.5  # without a change, after which a server is taken to be idle
POLL_SECONDS = 0.05
MAX_CLIENTS = 50  # to reach each of two workers


@dataclass(slots=True)
class Soaked:
    """One server, and what has been recorded of it."""

    name: str
    process: ServerProcess
    replaces_workers: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    deaths: list[WorkerDeath] = field(default_factory=list)
    samples: list[Footprint] = field(default_factory=list)
    in_use: list[InUse] = field(default_factory=list)
    operations: int = 0
    hostile_connections: int = 0
    failures: list[str] = field(default_factory=list)

    def pids(self) -> list[int]:
        """The processes whose footprint must not grow: all of them, or the master alone if workers are replaced."""
        master = self.process.master
        return [master] if self.replaces_workers else [master, *self.process.workers()]

    def sample(self, moment: str) -> None:
        """Record the footprint once the server is idle; `moment` says when in a failure."""
        if not wait_for(self._has_all_workers, IDLE_SECONDS):
            self.failures.append(f"{moment}: {len(self.process.workers())} workers at the end")
        if not wait_for(self._is_idle, IDLE_SECONDS):
            self.failures.append(f"{moment}: connections were still open {IDLE_SECONDS:g} s after the load")
        self.samples.append(self._settled(moment))

    def sample_in_use(self, moment: str) -> None:
        """Record the memory in use by the workers, or by the master if they are replaced."""
        if self.replaces_workers:  # a master has one thread, hence one arena, and no bodies: what it keeps it uses
            self.in_use.append(InUse(self.samples[-1].resident_kib, 0))
            return
        found = self._ask_workers()
        if len(found) < len(self.process.workers()):
            self.failures.append(f"{moment}: a worker did not respond")
        self.in_use.append(
            InUse(*(sum(column) for column in zip(*found.values(), strict=True))) if found else InUse(0, 0)
        )

    def _has_all_workers(self) -> bool:
        return len(self.process.workers()) == self.process.start.workers

    def _is_idle(self) -> bool:
        return not any(client_ports(pid, self.process.port) for pid in [self.process.master, *self.process.workers()])

    def _settled(self, moment: str) -> Footprint:
        """The footprint, once all but the memory has been the same for a while: a reload may be under way."""
        deadline = time.monotonic() + IDLE_SECONDS
        found, since = measure(self.pids()), time.monotonic()
        while (now := time.monotonic()) < since + SETTLED_SECONDS:
            if now >= deadline:
                self.failures.append(f"{moment}: not at rest {IDLE_SECONDS:g} s after the load")
                break
            time.sleep(POLL_SECONDS)
            previous, found = found, measure(self.pids())
            if found.without_memory() != previous.without_memory():
                since = time.monotonic()
        return found

    def _ask_workers(self) -> dict[int, InUse]:
        """By worker. The connections stay open meanwhile: a worker with fewer of them accepts the next."""
        found: dict[int, InUse] = {}
        with ExitStack() as stack, suppress(OSError, HTTPException):
            for _ in range(MAX_CLIENTS):
                if len(found) == self.process.start.workers:
                    break
                client = stack.enter_context(closing(HTTPConnection(*self.process.address, timeout=TIMEOUT)))
                client.request("GET", "/memory?token=memory")
                pid, *in_use = map(int, client.getresponse().read().split())
                found[pid] = InUse(*in_use)
        return found
