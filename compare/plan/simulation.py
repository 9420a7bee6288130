"""The simulation: requests arrive at a machine, nginx passes each to a worker, and its response time is noted.

Events are simulated one after the other (simpy), so nothing depends on how fast this program runs, and a seed decides
all that is random. One machine stands for all: a balancer sends each request to any of them, as several independent
balancers amount to, so what one machine does says nothing about another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from random import Random
from typing import NamedTuple

import simpy

from plan.processors import Cores, Slice, Steps
from plan.worker import Costs, Job, Worker
from plan.workload import Request

NGINX_KEEPS = 32  # idle connections that each process of the kit's nginx keeps (keepalive in nginx.conf.template)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with `cores` processors and `workers` processes of `threads` threads.

    `connections`: the number of the worker of each connection that clients use in turn, without nginx; none: nginx is
    in front, with one process for each core, and opens and keeps connections itself.
    """

    cores: int
    workers: int
    threads: int
    connections: Sequence[int] = ()


@dataclass(slots=True)
class Prediction:
    """Response times in seconds, in the order in which responses were sent, and shares of what there is in use.

    The shares are those between the warm-up and the arrival of the last request: later, the machine runs empty.
    """

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0  # from the first request to the last response
    in_flight: float = 0.0  # requests that had arrived and were not answered, on average over `seconds`
    interpreter: float = 0.0  # of the time in which each process's GIL could be used
    cores: float = 0.0
    threads: float = 0.0
    busy_ticks: int = 0  # of all controllers

    def percentile(self, share: float) -> float:
        return percentile(self.times, share)

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds if self.seconds else 0.0


def percentile(times: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, of at least one time."""
    ordered = sorted(times)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


class _Use(NamedTuple):
    """Seconds up to a moment in which something was in use, in all."""

    moment: float
    cores: float
    interpreters: float
    threads: float


class Machine:
    """Processors, workers, and the connections to them."""

    def __init__(self, env: simpy.Environment, host: Host, costs: Costs, random: Random) -> None:
        self._env = env
        self._costs = costs
        self._random = random
        self.cores = Cores(env, host.cores)
        self.workers = [Worker(env, self.cores, host.threads, costs) for _ in range(host.workers)]
        self._rotation = deque(self.workers[number] for number in host.connections)
        self._idle: list[list[Worker]] = [[] for _ in range(host.cores)]  # by process of nginx; the last one used last

    def _open_connection(self) -> Worker:
        """The workers accept evenly: the one with the fewest connections takes a new one (`net.accept_balance`)."""
        worker = min(self.workers, key=lambda each: each.connections)
        worker.connections += 1
        return worker

    def serve(self, request: Request) -> Steps:
        """Pass a request to a worker; ends when its response has been sent."""
        sent = self._env.event()
        if self._rotation:
            worker = self._rotation.popleft()
            worker.take(Job(request, sent.succeed))
            yield sent
            self._rotation.append(worker)
            return
        idle = self._random.choice(self._idle)
        yield from self._use_processor(self._costs.nginx)
        worker = idle.pop() if idle else self._open_connection()
        worker.take(Job(request, sent.succeed))
        yield sent
        if len(idle) < NGINX_KEEPS:
            idle.append(worker)
        else:
            worker.connections -= 1

    def _use_processor(self, seconds: float) -> Steps:
        if seconds:
            piece = Slice(self._env, seconds)
            self.cores.start(piece)
            yield piece.done

    def use(self) -> _Use:
        interpreters = sum(worker.interpreter.used for worker in self.workers)
        return _Use(self._env.now, self.cores.busy, interpreters, sum(worker.inside_seconds for worker in self.workers))


class Simulation:
    """One run of a machine over some requests. The first `warm_up` response times are left out."""

    def __init__(self, host: Host, costs: Costs, seed: int = 1, warm_up: int = 0) -> None:
        self._env = simpy.Environment()
        self._costs = costs
        self._warm_up = warm_up
        self._host = host
        self._machine = Machine(self._env, host, costs, Random(seed))
        self._prediction = Prediction()
        self._warm = self._last = self._machine.use()
        self._present = 0
        self._present_seconds = 0.0  # integral of `_present`
        self._changed_at = 0.0

    def run(self, requests: Sequence[Request]) -> Prediction:
        env = self._env
        remaining = len(requests)
        ended = env.event()

        def on_served(request: Request, _: simpy.Event) -> None:
            nonlocal remaining
            self._count(-1)
            remaining -= 1
            if len(requests) - remaining > self._warm_up:
                self._prediction.times.append(env.now - request.due + self._costs.transport)
            if not remaining:
                ended.succeed()

        def arrive() -> Steps:
            for number, request in enumerate(requests):
                yield env.timeout(max(0.0, request.due - env.now))
                if number == self._warm_up:
                    self._warm = self._machine.use()
                self._count(1)
                served = env.process(self._machine.serve(request))
                served.callbacks.append(partial(on_served, request))
            self._last = self._machine.use()

        env.process(arrive())
        env.run(until=ended)
        return self._summary(env.now - requests[0].due)

    def _count(self, change: int) -> None:
        self._present_seconds += self._present * (self._env.now - self._changed_at)
        self._changed_at = self._env.now
        self._present += change

    def _summary(self, seconds: float) -> Prediction:
        host, found = self._host, self._prediction
        found.seconds = seconds
        found.in_flight = self._present_seconds / seconds
        found.busy_ticks = sum(worker.busy_ticks for worker in self._machine.workers)
        counted = self._last.moment - self._warm.moment
        if counted:
            found.interpreter = (self._last.interpreters - self._warm.interpreters) / counted / host.workers
            found.cores = (self._last.cores - self._warm.cores) / counted / host.cores
            found.threads = (self._last.threads - self._warm.threads) / counted / host.workers / host.threads
        return found


def simulate(host: Host, requests: Sequence[Request], costs: Costs, *, seed: int = 1, warm_up: int = 0) -> Prediction:
    return Simulation(host, costs, seed, warm_up).run(requests)
