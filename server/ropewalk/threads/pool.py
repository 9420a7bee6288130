"""The pool: identical threads over one epoll, none of which hands its work to another.

A thread takes, in this order, what there is: finished answers to send, whole requests to run, ready connections to
receive from; when there is nothing, and nobody else does, it waits in the epoll. It works in phases (a batch is
received, run, then sent) because kernel and application evict each other from the caches. Whatever a thread leaves
behind because its application blocks stands in a shared queue, and the next thread takes it.

Who touches what: the three deques, `_slots` and `items` by single operations only, which are atomic with and without
the GIL; `_parked` and `_living` under `_parking`; `_poller` is a lock that the polling thread holds, and who holds it
alone touches `_next_sweep`. A `PoolThread`'s fields are written by itself and read by all. What is only a hint
(`_unpolled`, the length of `_parked`, `controller.limit`) may be a moment old.

Longer than most modules here: a thread's life, who is active and the controller's thread stand together because each
relies on the order in which the others look and park. What decides without threads is in `controller`.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from ropewalk.logs.error_log import get_logger
from ropewalk.threads.controller import HELD_AFTER, LONG_RUN, RESCUE_INTERVAL, Controller, Sample
from ropewalk.threads.parallelism import computing_at_once
from ropewalk.threads.parking import Parking, make_gate
from ropewalk.threads.thread_stats import ThreadStats

log = get_logger()


BATCH = 16  # requests received, run and sent together: past it the gain is small and the first answer waits longer
MAX_UNPOLLED = 4  # batches received from the queue between two looks into the epoll
MAX_EVENTS = 256  # taken from the epoll at once
STOP_LOOK = 0.1  # seconds between looks whether a thread that is to end has gone into the application instead
SWEEP_INTERVAL = 1.0  # seconds between looks at all deadlines; they are all of 2 s and more


class Item(Protocol):
    """What the pool works on: something with a descriptor in the epoll."""

    def receive(self) -> bool:
        """Take what an event brought; True when there is now something to run."""

    def send(self) -> None:
        """Send what running it made."""

    def check_deadline(self, now: float) -> None:
        """Called by the thread that sweeps, whoever holds the item: cause an event if a deadline passed."""

    def close(self) -> None:
        """Let go of it: serving it failed in a way that nobody foresaw."""


class PoolThread:
    """One thread of the pool, and what others may see of it."""

    __slots__ = ("finished", "gate", "item", "since", "thread")

    thread: threading.Thread  # set by the pool before anybody sees this

    def __init__(self, gate: Parking) -> None:
        self.gate = gate  # opened to let a parked thread go on
        self.item: Item | None = None  # what it runs
        self.since = 0.0  # monotonic: when it began to run that
        self.finished = 0


class Pool:
    """`threads` run requests at once, at most; one more thread sees to the sockets when all of them are busy."""

    def __init__(
        self,
        *,
        threads: int,
        run: Callable[[Item], bool],
        overflow: Callable[[Item], None],
        max_waiting: int,
        at_once: Callable[[], int] = computing_at_once,
        is_overdue: Callable[[Item], bool] | None = None,
        name: str = "ropewalk",
    ) -> None:
        """`run` runs an item and tells whether it is to be sent; `overflow` gets one that may not wait to be run.

        `at_once` tells how many threads can compute at the same moment; so many are always active. `is_overdue` tells
        whether one that waits has waited too long; it is given to `overflow` then, and does not wait for a thread.
        """
        self.epoll = select.epoll()
        self.items: dict[int, Item] = {}  # by descriptor: everything the epoll may name
        self.ready: deque[Item] = deque()  # to be received from, in this order
        self.soon: deque[Callable[[], None]] = deque()  # what running items want done: the controller calls it
        self._run = run
        self._overflow = overflow
        self._is_overdue = is_overdue
        self._max_waiting = max_waiting
        self._whole: deque[Item] = deque()
        self._answered: deque[Item] = deque()
        self._slots: deque[None] = deque([None] * threads)
        self._poller = threading.Lock()
        self._parking = threading.Lock()
        self._parked: list[PoolThread] = []
        self._living = threads + 1  # threads that have not left, and `stop`; under `_parking`
        self._is_stopping = False
        self._next_sweep = 0.0
        self._calls: deque[tuple[float, Callable[[], None]]] = deque()  # monotonic: when, and what
        self._watched: set[int] = set()  # of `items` those that `watch` added: listeners, which are no connections
        self._unpolled = 0
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.epoll.register(self._wake_fd, select.EPOLLIN | select.EPOLLET)
        self._gauges = ThreadStats()
        self._at_once = at_once
        floor = min(at_once(), threads)
        self.controller = Controller(floor, threads + 1, self._gauges)
        self._controller_rests = False
        self._controller_call = make_gate(spins=floor > 1)  # opened to let the controller go on
        self.workers = [PoolThread(make_gate(spins=floor > 1)) for _ in range(threads + 1)]
        for number, worker in enumerate(self.workers):
            is_parked = number >= floor
            worker.thread = threading.Thread(
                target=self._work, args=(worker, is_parked), name=f"{name}-{number}", daemon=True
            )
        self._control_thread = threading.Thread(target=self._control, name=f"{name}-controller", daemon=True)

    def start(self) -> None:
        """Start the threads; the others than the first few are parked until there is work for them."""
        self._parked.extend(self.workers[self.controller.limit :])
        for worker in self.workers:
            worker.thread.start()
            self._gauges.add(worker.thread.native_id or 0)
        self._control_thread.start()

    def stop(self) -> None:
        """End every thread that is not inside the application; return when they have ended.

        Once it was called, the pool is of no more use. A thread that is inside the application ends behind it, and the
        last one closes the epoll.
        """
        if self.epoll.closed:
            return
        started = [worker for worker in self.workers if worker.thread.ident is not None]
        with self._parking:
            self._living = self._living + 1 if started else 1  # this call too needs the descriptors until it returns
            parked, self._parked = self._parked, []
            self._is_stopping = True
        self.nudge()
        self._call_controller()
        for worker in parked:
            worker.gate.release()
        for worker in started:
            while worker.item is None and worker.thread.is_alive():
                worker.thread.join(timeout=STOP_LOOK)
        if self._control_thread.ident is not None:
            self._control_thread.join()
        self._let_go()

    def watch(self, fd: int, item: Item, events: int) -> None:
        """Have the epoll watch `fd` for `item`, a listener: it stays as long as the pool, and is no connection."""
        self._watched.add(fd)
        self.items[fd] = item
        self.epoll.register(fd, events)

    def add_connection(self, fd: int, item: Item) -> None:
        """Know `item` by its descriptor, until `remove_connection`; the item registers itself with the epoll."""
        self._watched.discard(fd)  # of a listener that was closed meanwhile
        self.items[fd] = item

    def remove_connection(self, fd: int, item: Item) -> None:
        """Forget `item`, unless its descriptor is another's by now."""
        if self.items.get(fd) is item:
            del self.items[fd]

    @property
    def connections(self) -> int:
        """How many connections are open; listeners do not count."""
        return len(self.items) - len(self._watched)

    def nudge(self) -> None:
        """Have the thread that polls look at the queues, after `queue` from outside the pool."""
        os.eventfd_write(self._wake_fd, 1)

    def call_in(self, seconds: float, call: Callable[[], None]) -> None:
        """Have the thread that polls call `call` after so long, to the millisecond."""
        self._calls.append((time.monotonic() + seconds, call))
        if self._poller.locked():
            self.nudge()

    def queue(self, item: Item) -> None:
        """Queue an item that needs no event to go on."""
        self.ready.append(item)

    def running(self) -> Iterator[tuple[PoolThread, Item, float]]:
        """What runs now, and since when (monotonic seconds): no lock, so each row was true at some moment."""
        for worker in self.workers:
            item, since = worker.item, worker.since
            if item is not None:
                yield worker, item, since

    @property
    def finished(self) -> int:
        """How many requests the application has returned from."""
        return sum(worker.finished for worker in self.workers)

    @property
    def waiting(self) -> int:
        """How many whole requests wait for a thread."""
        return len(self._whole)

    @property
    def parked(self) -> int:
        """How many threads are parked."""
        return len(self._parked)

    # A thread's life

    def _work(self, me: PoolThread, is_parked: bool) -> None:
        if is_parked:
            me.gate.acquire()
        ready, whole, answered, slots = self.ready, self._whole, self._answered, self._slots
        controller = self.controller
        while not self._is_stopping:
            if answered:
                self._send_answered()
            elif whole and slots:
                self._run_batch(me)
            elif ready and not self._is_poll_due():
                self._receive_batch()
            elif self._poller.acquire(blocking=False):
                try:
                    self._poll()
                finally:
                    self._poller.release()
                if controller.limit > 1 and (len(ready) > 1 or whole):
                    self._call_another()
                continue
            else:
                self._park(me)
                continue
            if controller.limit > 1 or self._has_excess():
                self._balance(me)

        self._leave()

    def _leave(self) -> None:
        """The last thing a thread does: what is answered now has nobody who would send it."""
        with suppress(IndexError):
            while True:
                self._answered.popleft().close()
        self._let_go()

    def _let_go(self) -> None:
        """Whoever is the last closes what is left, which nobody else holds any more, and the descriptors."""
        with self._parking:
            self._living -= 1
            is_last = not self._living
        if is_last:
            for item in list(self.items.values()):
                with suppress(Exception):
                    item.close()
            self._gauges.close()
            self.epoll.close()
            os.close(self._wake_fd)

    # A fault of ours in any of these costs the one item, not the thread and all that it would have served.

    def _send_answered(self) -> None:
        answered = self._answered
        while answered:
            try:
                item = answered.popleft()
            except IndexError:
                return  # another thread took the last one
            try:
                item.send()
            except Exception:  # noqa: BLE001
                self._fault(item)

    def _run_batch(self, me: PoolThread) -> None:
        """Run what is whole: one item if threads were called because others block, else up to a batch."""
        whole, answered, run, controller = self._whole, self._answered, self._run, self.controller
        try:
            self._slots.pop()
        except IndexError:
            return
        if self._controller_rests:  # behind the `pop`: the controller looks the other way round
            self._call_controller()
        now = began = time.monotonic()
        # While all is computing, the controller looks less often: no answer waits then for what comes behind it.
        long_run = 0.0 if controller.is_computing else LONG_RUN
        try:
            for _ in range(BATCH if controller.limit <= controller.floor else 1):
                if now - began > long_run and answered:
                    break
                item = whole.popleft()
                me.since = now
                me.item = item
                try:
                    if run(item):
                        answered.append(item)
                except Exception:  # noqa: BLE001
                    self._fault(item)
                me.finished += 1
                now = time.monotonic()
        except IndexError:
            pass  # there are no more, or another thread took them
        finally:
            me.item = None
            self._slots.append(None)

    def _receive_batch(self) -> None:
        ready, whole = self.ready, self._whole
        try:
            for _ in range(BATCH):
                item = ready.popleft()
                try:
                    if not item.receive():
                        continue
                    if len(whole) < self._max_waiting:
                        whole.append(item)
                    else:
                        self._overflow(item)
                except Exception:  # noqa: BLE001
                    self._fault(item)
        except IndexError:
            pass  # another thread took the last one

    def _fault(self, item: Item) -> None:
        log.exception("a fault of the server itself; the connection is closed")
        with suppress(Exception):
            item.close()

    def _is_poll_due(self) -> bool:
        """Items that queue themselves again must not keep those out that wait in the epoll."""
        self._unpolled += 1  # two threads may count one: then it is due a little later
        return self._unpolled > MAX_UNPOLLED and not self._poller.locked()

    def _poll(self) -> None:
        if self._is_stopping:
            return  # the nudge of `stop` may have gone to who polled before
        self._unpolled = 0
        timeout = SWEEP_INTERVAL if len(self.items) > len(self._watched) else -1.0
        if self._calls:
            timeout = self._make_calls()
        if self._is_left():
            timeout = 0.0  # it is to be done first; but what waits here should stand in the queue behind it
        events = self.epoll.poll(timeout, MAX_EVENTS)
        items, ready = self.items, self.ready
        for fd, _ in events:
            item = items.get(fd)
            if item is not None:
                ready.append(item)
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            for item in list(items.values()):
                item.check_deadline(now)
            self.refuse_overdue()

    def refuse_overdue(self) -> None:
        """Let nothing wait for a thread longer than it may; when every thread is stuck, none comes to see it."""
        whole, is_overdue = self._whole, self._is_overdue
        if is_overdue is None:
            return
        while whole:
            try:
                item = whole.popleft()
            except IndexError:
                return  # another thread took the last one
            if not is_overdue(item):
                whole.appendleft(item)  # the others have not waited for as long
                return
            try:
                self._overflow(item)
            except Exception:  # noqa: BLE001
                self._fault(item)

    def _make_calls(self) -> float:
        """Call what is due; return the seconds until the next is, or the usual ones."""
        now, seconds = time.monotonic(), SWEEP_INTERVAL
        for entry in list(self._calls):
            when, call = entry
            if when > now:
                seconds = min(seconds, when - now)
            else:
                self._calls.remove(entry)
                call()
        return seconds

    # Who is active

    def _is_left(self) -> bool:
        """Whether the queues hold something that a thread could do now."""
        return bool(self._answered or self.ready or (self._whole and self._slots))

    def _has_excess(self) -> bool:
        return len(self.workers) - len(self._parked) > self.controller.limit

    def _balance(self, me: PoolThread) -> None:
        """Behind each step while more than one thread may be active: park if there are too many, else call one."""
        if self._has_excess():
            # Behind the last step: who polls sees only what the epoll tells it, and for all else may sleep on.
            if not (self._poller.locked() and self._is_left()):
                self._park(me)
        elif self.ready or len(self._whole) or not self._poller.locked():
            self._call_another()

    def _park(self, me: PoolThread) -> None:
        """Wait until called, unless this thread would be missed."""
        with self._parking:
            active = len(self.workers) - len(self._parked)
            if self._is_stopping or active <= 1:
                return
            if active <= self.controller.limit and not self._poller.locked():
                return  # nobody polls any more
            self._parked.append(me)
        me.gate.acquire()
        self._send_answered()  # called because somebody is stuck: its batch must not wait

    def _call_another(self) -> None:
        with self._parking:
            if not self._parked or len(self.workers) - len(self._parked) >= self.controller.limit:
                return
            worker = self._parked.pop()
        worker.gate.release()

    # The controller's thread

    def _control(self) -> None:
        controller = self.controller
        while not self._is_stopping:
            time.sleep(RESCUE_INTERVAL if self.soon else controller.interval)
            if self.soon:
                self._call_soon()
            is_polled = self._poller.locked()
            has_work = self._has_work()
            if is_polled and not has_work:
                controller.rest()
                controller.floor = min(self._at_once(), controller.floor)  # an import may have brought the GIL back
                self._rest()
                continue
            now = time.monotonic()
            look = Sample(
                wall=now,
                finished=self.finished,
                is_polled=is_polled,
                has_work=has_work,
                inside=len(self.workers) - 1 - len(self._slots),
                is_held=self._is_left() and self._is_held(now - HELD_AFTER),
            )
            finished = controller.finished
            if controller.look(look) > 1 and not is_polled:
                self._call_another()
            elif is_polled and (look.is_held or (look.finished == finished and self._is_left())):
                self.nudge()  # who works is inside the application, and what it has left waits for who sleeps

    def _call_soon(self) -> None:
        for _ in range(len(self.soon)):  # not what is added meanwhile
            try:
                self.soon.popleft()()
            except Exception:
                log.exception("a fault of the server itself")

    def _is_held(self, moment: float) -> bool:
        """Whether every thread that is active, but who polls, has been inside the application since before `moment`."""
        began = [worker.since for worker in self.workers if worker.item is not None]
        active = len(self.workers) - len(self._parked) - self._poller.locked()
        return len(began) >= max(active, 1) and max(began) < moment

    def _has_work(self) -> bool:
        return bool(self.ready or self._whole or self._answered or len(self._slots) < len(self.workers) - 1)

    def _call_controller(self) -> None:
        self._controller_rests = False
        with suppress(RuntimeError):  # another thread was quicker; or the controller looks once too often
            self._controller_call.release()

    def _rest(self) -> None:
        """Sleep until a thread runs something."""
        self._controller_rests = True
        if self._poller.locked() and not self._has_work() and not self._is_stopping:
            self._controller_call.acquire()
        self._controller_rests = False
