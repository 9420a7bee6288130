"""A simulated worker process: the pool's threads around its queues, with the server's own controller.

The steps are those of `ropewalk.threads.pool`, without sockets: a thread sends, runs, receives or polls, in this order,
and otherwise parks. The controller is not imitated: the class that the server uses makes the decisions, on a simulated
clock. Left out are streams, refusals and slow clients.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import simpy

from plan.processors import Cores, Interpreter, Steps
from plan.workload import Request
from ropewalk.threads.controller import HELD_AFTER, LONG_RUN, Controller, Sample
from ropewalk.threads.pool import BATCH

RECEIVE_SHARE = 0.5  # of the server's own time in a request: before the application, the rest after it


@dataclass(frozen=True, slots=True)
class Costs:
    """What the machine and the server take, in seconds. `plan.calibrate` measures them."""

    server: float  # processor time of the server for a request, without the application
    tick: float  # processor time of the controller's thread each time it wakes
    busy_tick: float  # for which a thread that computes is held up by it: two switches between threads, besides
    nginx: float  # processor time of nginx for a request; 0 without nginx
    transport: float  # the rest of the time of a request that does nothing: the kernel's, and the client's
    oversleep: float  # by which a wait takes longer than it should: the kernel's timer, and waking up
    switch_interval: float = 0.005  # sys.getswitchinterval()


class Job:
    """A request in a worker. `on_done` is called when its response has been sent."""

    __slots__ = ("on_done", "request")

    def __init__(self, request: Request, on_done: Callable[[], object]) -> None:
        self.request = request
        self.on_done = on_done


class _Thread:
    __slots__ = ("is_inside", "since")

    def __init__(self) -> None:
        self.is_inside = False  # in the application
        self.since = 0.0


class Worker:
    """One process with `threads` threads, and one more that polls while all of them are busy."""

    def __init__(self, env: simpy.Environment, cores: Cores, threads: int, costs: Costs) -> None:
        self._env = env
        self._costs = costs
        self.interpreter = Interpreter(env, cores, costs.switch_interval)
        self.connections = 0  # open ones
        self._inside_seconds = 0.0  # of requests that the application has finished
        self.busy_ticks = 0  # of the controller, while a thread computed
        self._count = self._slots = threads
        self._arrived: deque[Job] = deque()  # in the kernel, until a thread polls
        self._ready: deque[Job] = deque()
        self._to_run: deque[Job] = deque()
        self._to_send: deque[Job] = deque()
        self._is_polled = False
        self._wake_poller: simpy.Event | None = None
        self._wake_controller: simpy.Event | None = None
        self._parked: list[simpy.Event] = []
        self._unstarted = threads  # parked ones that have never run, which cost the simulation nothing
        self._finished = 0
        self._controller = Controller(1, threads + 1, self)
        self._threads: list[_Thread] = []  # those that have been started
        self._start_thread()
        env.process(self._control())

    # What the controller measures

    def cpu_seconds(self) -> float:
        return self.interpreter.used

    def work_seconds(self) -> float:
        return self.interpreter.ran

    def is_working(self) -> bool:
        # Asked by the controller's thread, which has the interpreter: a thread that waits for it would run now.
        return self.interpreter.is_wanted

    @property
    def inside_seconds(self) -> float:
        """Of all threads in the application, in all, so far."""
        now = self._env.now
        return self._inside_seconds + sum(now - thread.since for thread in self._threads if thread.is_inside)

    def take(self, job: Job) -> None:
        """A request has arrived on a connection of this worker."""
        self._arrived.append(job)
        self._nudge()

    def _nudge(self) -> None:
        if self._wake_poller is not None:
            self._wake_poller.succeed()
            self._wake_poller = None

    # A thread's life

    def _start_thread(self) -> None:
        self._threads.append(_Thread())
        self._env.process(self._work(self._threads[-1]))

    def _work(self, thread: _Thread) -> Steps:
        yield from self.interpreter.acquire()
        while True:
            if self._to_send:
                yield from self._send_batch()
            elif self._to_run and self._slots:
                yield from self._run_batch(thread)
            elif self._ready:
                yield from self._receive_batch()
            elif not self._is_polled:
                yield from self._poll()
                if self._controller.limit > 1 and (len(self._ready) > 1 or self._to_run):
                    self._unpark_another()
                continue
            else:
                yield from self._park()
                continue
            if self._controller.limit > 1 or self._has_excess():
                yield from self._balance()

    def _poll(self) -> Steps:
        self._is_polled = True
        if not self._arrived and not self._has_runnable_work():
            self._wake_poller = self._env.event()
            self.interpreter.release()
            yield self._wake_poller
            yield from self.interpreter.acquire()
        self._ready.extend(self._arrived)
        self._arrived.clear()
        self._is_polled = False

    def _receive_batch(self) -> Steps:
        for _ in range(BATCH):
            if not self._ready:
                return
            job = self._ready.popleft()
            yield from self.interpreter.run(self._costs.server * RECEIVE_SHARE)
            self._to_run.append(job)

    def _run_batch(self, thread: _Thread) -> Steps:
        self._slots -= 1
        if self._wake_controller is not None:
            self._wake_controller.succeed()
            self._wake_controller = None
        began = self._env.now
        controller = self._controller
        long_run = 0.0 if controller.is_computing else LONG_RUN
        for _ in range(BATCH if controller.limit <= controller.floor else 1):
            if not self._to_run or (self._env.now - began > long_run and self._to_send):
                break
            job = self._to_run.popleft()
            thread.is_inside, thread.since = True, self._env.now
            yield from self._run_application(job.request)
            self._inside_seconds += self._env.now - thread.since
            self._to_send.append(job)
            self._finished += 1
        thread.is_inside = False
        self._slots += 1

    def _run_application(self, request: Request) -> Steps:
        """Compute, wait once, compute: as a request reads its input, asks a database, and renders."""
        if request.waits:
            yield from self.interpreter.run(request.computes / 2)
            self.interpreter.release()
            yield self._env.timeout(request.waits + self._costs.oversleep)
            yield from self.interpreter.acquire()
            yield from self.interpreter.run(request.computes / 2)
        else:
            yield from self.interpreter.run(request.computes)

    def _send_batch(self) -> Steps:
        while self._to_send:
            job = self._to_send.popleft()
            yield from self.interpreter.run(self._costs.server * (1 - RECEIVE_SHARE))
            job.on_done()

    # Parking

    def _has_runnable_work(self) -> bool:
        return bool(self._to_send or self._ready or (self._to_run and self._slots))

    @property
    def _active(self) -> int:
        return len(self._threads) - len(self._parked)

    def _has_excess(self) -> bool:
        return self._active > self._controller.limit

    def _balance(self) -> Steps:
        if self._has_excess():
            if not (self._is_polled and self._has_runnable_work()):
                yield from self._park()
        elif self._ready or self._to_run or not self._is_polled:
            self._unpark_another()

    def _park(self) -> Steps:
        if self._active <= 1 or (self._active <= self._controller.limit and not self._is_polled):
            return
        self.interpreter.release()
        unparked = self._env.event()
        self._parked.append(unparked)
        yield unparked
        yield from self.interpreter.acquire()
        yield from self._send_batch()

    def _unpark_another(self) -> None:
        if self._active >= self._controller.limit:
            return
        if self._parked:
            self._parked.pop().succeed()
        elif self._unstarted:
            self._unstarted -= 1
            self._start_thread()

    # The controller's thread

    def _control(self) -> Steps:
        controller = self._controller
        while True:
            yield self._env.timeout(controller.interval)
            is_busy = self.interpreter.is_taken
            self.busy_ticks += is_busy
            yield from self.interpreter.acquire()
            yield from self.interpreter.run(self._costs.busy_tick if is_busy else self._costs.tick)
            has_work = bool(self._ready or self._to_run or self._to_send or self._slots < self._count)
            if self._is_polled and not has_work:
                controller.reset()
                self._wake_controller = self._env.event()
                self.interpreter.release()
                yield self._wake_controller
                continue
            sample = Sample(
                wall=self._env.now,
                finished=self._finished,
                is_polled=self._is_polled,
                has_work=has_work,
                inside=self._count - self._slots,
                is_held=self._has_runnable_work() and self._is_held(self._env.now - HELD_AFTER),
            )
            finished = controller.finished
            if controller.tick(sample) > 1 and not self._is_polled:
                self._unpark_another()
            elif self._is_polled and (sample.is_held or (self._finished == finished and self._has_runnable_work())):
                self._nudge()
            self.interpreter.release()

    def _is_held(self, moment: float) -> bool:
        began = [thread.since for thread in self._threads if thread.is_inside]
        return len(began) >= max(self._active - self._is_polled, 1) and max(began) < moment
