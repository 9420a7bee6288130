"""The pool: identical threads that share one epoll. A request stays with the thread that takes it up.

A thread takes the first of these that there is: responses to send, whole requests to run, ready connections to receive
from. When there is none of them and no other thread polls, it waits in the epoll. It works in phases (a batch is
received, then run, then sent) because kernel and application evict each other from the caches. What a thread cannot
get to because its application blocks is in a shared queue, where the next thread finds it.

A thread may be occupied by one response for hours, while it streams. Up to `stream_threads` of these are moved out of
the count: the thread's slot goes back to the pool, and another thread takes its place.

Who touches what: the three deques, `_slots` and `items` by single operations only, which are atomic with and without
the GIL; `_parked`, `_moved` and `_remaining` under `_parking_lock`; the controller's thread alone adds to `threads`; a
slot belongs to the thread that has popped it, from `_slots` or from a `PoolThread`. `_poller` is a lock that the
polling thread holds, and its holder alone touches `_next_sweep`. A `PoolThread`'s fields are written by that thread and
read by all. What is only a hint (`_unpolled`, the length of `_parked`, `controller.limit`) may be slightly out of date.

Longer than most modules here: the life of a thread, parking, and the controller's thread are in one place because each
relies on the order in which the others check and park. The decisions, without threads, are in `controller`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

from ropewalk import interruptions
from ropewalk.forked import exit_child
from ropewalk.logs.error_log import get_logger, inheriting_log
from ropewalk.portable import EPOLLET, EPOLLIN, Epoll, close_eventfd, eventfd, eventfd_write
from ropewalk.threads.controller import HELD_AFTER, LONG_RUN, RESCUE_INTERVAL, Controller, Sample
from ropewalk.threads.parallelism import parallel_threads
from ropewalk.threads.parking import Parking, make_parking
from ropewalk.threads.thread_stats import ThreadStats

log: Final = get_logger()


BATCH: Final = 16  # requests received, run and sent together: more gain little, and the first response waits longer
MAX_UNPOLLED: Final = 4  # batches received from the queue between two polls
MAX_EVENTS: Final = 256  # taken from the epoll at once
STOP_INTERVAL = 0.1  # seconds between checks whether a thread that is to end has entered the application instead
START_SECONDS = 0.5  # the most that a thread whose start was interrupted takes to run
SWEEP_INTERVAL = 1.0  # seconds between checks of all deadlines, which are all 2 s or longer
STREAMS_INTERVAL = 0.25  # seconds between checks for streams; short compared to the second after which they are moved
STREAMS_INTERVAL_NEEDED = 0.02  # the same while requests wait for a thread: 16 threads open 800 streams a second


class Item(Protocol):
    """What the pool works on: something with a descriptor in the epoll."""

    def receive(self) -> bool:
        """Handle an event; True when there is now something to run."""

    def send(self) -> None:
        """Send what `run` produced."""

    def check_deadline(self, now: float) -> None:
        """Cause an event if a deadline has passed. Called by the sweeping thread, whichever thread holds the item."""

    def close(self) -> None:
        """Close it after an internal error."""


class Streams(Protocol):
    """Says which items stream."""

    def is_streaming(self, item: Item, is_thread_needed: bool) -> bool:
        """Whether a running item streams, and will for longer: its thread should not count any more.

        `is_thread_needed`: others wait for a thread.
        """

    def on_all_streaming(self) -> None:
        """All threads are occupied by streams, and none of them can be moved out of the count."""


class PoolThread:
    """One thread of the pool, and what other threads may read of it."""

    __slots__ = ("finished", "item", "parking", "since", "slot", "thread")

    thread: threading.Thread  # set by the pool before any other thread sees this

    def __init__(self, parking: Parking) -> None:
        self.parking = parking  # released to unpark the thread
        self.slot: list[None] = []  # while it runs something, unless it was moved out of the count
        self.item: Item | None = None  # what it is running
        self.since = 0.0  # monotonic: when it began to run that
        self.finished = 0  # items


class Pool:
    """At most `threads` requests run at once, and `stream_threads` streams beside them.

    One more thread serves the sockets while all of those are busy.
    """

    def __init__(
        self,
        *,
        threads: int,
        run: Callable[[Item], bool],
        overflow: Callable[[Item], None],
        max_waiting: int,
        parallelism: Callable[[], int] = parallel_threads,
        is_overdue: Callable[[Item], bool] | None = None,
        stream_threads: int = 0,
        streams: Streams | None = None,
        name: str = "ropewalk",
    ) -> None:
        """`run` runs an item and returns whether `send` is to be called; `overflow` gets an item that may not wait.

        `parallelism` returns how many threads can compute at the same moment: so many are always active. `is_overdue`
        returns whether a waiting item has waited too long, and is then given to `overflow` without being run.
        """
        self.epoll = Epoll()
        self.items: dict[int, Item] = {}  # by descriptor: everything that the epoll may return
        self.ready: deque[Item] = deque()  # to be received from, in this order
        self._soon: deque[Callable[[], None]] = deque()  # called by the controller's thread
        self._run = run
        self._overflow = overflow
        self._is_overdue = is_overdue
        self._max_waiting = max_waiting
        self._to_run: deque[Item] = deque()
        self._to_send: deque[Item] = deque()
        self._count = threads
        self._slots: deque[None] = deque([None] * threads)
        self._streams = streams
        self._stream_threads = stream_threads
        self._moved = 0  # threads out of the count; under `_parking_lock`
        self._streams_checked_at = 0.0  # monotonic; used by the controller's thread
        self._poller = threading.Lock()
        self._parking_lock = threading.Lock()
        self._parked: list[PoolThread] = []
        self._remaining = threads + 1  # threads that still run, and `stop`; under `_parking_lock`
        self._is_stopping = False
        self._is_forked_child = False
        self._next_sweep = 0.0
        self._timers: deque[tuple[float, Callable[[], None]]] = deque()  # monotonic: when to call it
        self._watched: set[int] = set()  # descriptors of listeners, which `watch` added
        self._unpolled = 0
        self._wake_fd = eventfd()
        self.epoll.register(self._wake_fd, EPOLLIN | EPOLLET)
        self._thread_stats = ThreadStats()
        self._parallelism = parallelism
        floor = min(parallelism(), threads)
        self.controller = Controller(floor, threads + 1, self._thread_stats)
        self._is_controller_asleep = False
        self._controller_parking = make_parking(spins=floor > 1)  # released to wake the controller
        self._name = name
        self._last_started: threading.Thread | None = None  # or is being started
        self.threads: list[PoolThread] = []
        for number in range(threads + 1):
            self.threads.append(self._make_thread(is_parked=number >= floor))
        control = inheriting_log(self._control)
        self._control_thread = threading.Thread(target=control, name=f"{name}-controller", daemon=True)

    def _make_thread(self, *, is_parked: bool) -> PoolThread:
        pool_thread = PoolThread(make_parking(spins=self.controller.floor > 1))
        name = f"{self._name}-{len(self.threads)}"
        work = inheriting_log(self._work)
        pool_thread.thread = threading.Thread(target=work, args=(pool_thread, is_parked), name=name, daemon=True)
        return pool_thread

    def start(self) -> None:
        """Start the threads; all but the first few are parked until there is work for them.

        Another thread must not call `stop` meanwhile.
        """
        self._parked.extend(self.threads[self.controller.limit :])
        for pool_thread in self.threads:
            self._last_started = pool_thread.thread
            pool_thread.thread.start()
            if self._is_stopping:
                return  # a handler of a signal has called `stop` in this thread
            self._thread_stats.add(pool_thread.thread.native_id or 0)
        self._last_started = self._control_thread
        self._control_thread.start()

    def stop(self) -> None:
        """End every thread that is not inside the application, and wait until they have ended.

        The pool cannot be used again. A thread that is inside the application ends once that returns, and the last
        thread closes the epoll.
        """
        if self.epoll.closed:
            return
        self._wait_for_start()
        with self._parking_lock:
            self._is_stopping = True  # from here on no thread is added
            started = [each for each in self.threads if each.thread.ident is not None]
            # Some have not if Ctrl-C came while `start` was at it. `stop` uses the descriptors too.
            self._remaining += 1 - (len(self.threads) - len(started))
            parked, self._parked = self._parked, []
        self.nudge()
        self._wake_controller()
        for pool_thread in parked:
            pool_thread.parking.release()
        for pool_thread in started:
            while pool_thread.item is None and pool_thread.thread.is_alive():
                pool_thread.thread.join(timeout=STOP_INTERVAL)
        if self._control_thread.ident is not None:
            self._control_thread.join()
        self._release()

    def _wait_for_start(self) -> None:
        """Give a thread whose start Ctrl-C interrupted the time to run: until then nothing shows that it will."""
        deadline = time.monotonic() + START_SECONDS
        while self._last_started is not None and self._last_started.ident is None and time.monotonic() < deadline:
            time.sleep(0.001)

    def release_in_child(self) -> None:
        """Give up everything in a process that the application forked: the thread that forked is the only one there.

        If the application lets it come back here, it has nothing left to do, and ends the process.
        """
        self._is_forked_child = self._is_stopping = True
        for queue in (self.ready, self._to_run, self._to_send, self._soon, self._timers):
            queue.clear()
        self._parking_lock = threading.Lock()  # another thread may have held it
        self._thread_stats.close()
        self.epoll.close()
        close_eventfd(self._wake_fd)

    def watch(self, fd: int, item: Item, events: int) -> None:
        """Have the epoll watch `fd` for `item`, a listener: it lasts as long as the pool and is not a connection."""
        self._watched.add(fd)
        self.items[fd] = item
        self.epoll.register(fd, events)

    def add_connection(self, fd: int, item: Item) -> None:
        """Serve `item`, which registers its descriptor with the epoll itself, until `remove_connection`."""
        self._watched.discard(fd)  # it may have been a listener's that is closed
        self.items[fd] = item

    def remove_connection(self, fd: int, item: Item) -> None:
        """Forget `item`, unless its descriptor belongs to another item by now."""
        if self.items.get(fd) is item:
            del self.items[fd]

    @property
    def connections(self) -> int:
        """The number of open connections; listeners do not count."""
        return len(self.items) - len(self._watched)

    def nudge(self) -> None:
        """Wake the polling thread, so that it checks the queues: after `queue` from outside the pool."""
        eventfd_write(self._wake_fd, 1)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Have the polling thread call `call` after `seconds`, to the millisecond."""
        self._timers.append((time.monotonic() + seconds, call))
        if self._poller.locked():
            self.nudge()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Have the controller's thread call `call` within a few milliseconds. For an item that is being run."""
        self._soon.append(call)

    def queue(self, item: Item) -> None:
        """Queue an item that can be received from without an event."""
        self.ready.append(item)

    def running(self) -> Iterator[tuple[PoolThread, Item, float]]:
        """What is running, and since when (monotonic seconds). Takes no lock: each row was true at some moment."""
        for pool_thread in self.threads:
            item, since = pool_thread.item, pool_thread.since
            if item is not None:
                yield pool_thread, item, since

    @property
    def finished(self) -> int:
        """The number of items that have been run."""
        return sum(each.finished for each in self.threads)

    @property
    def waiting(self) -> int:
        """The number of items that wait to be run."""
        return len(self._to_run)

    @property
    def parked(self) -> int:
        """The number of parked threads."""
        return len(self._parked)

    @property
    def capacity(self) -> int:
        """How many items can run at once: ordinary ones, and streams beside them."""
        return self._count + self._stream_threads

    @property
    def moved(self) -> int:
        """The number of threads that are occupied by streams and out of the count."""
        return self._moved

    # A thread's life

    def _work(self, thread: PoolThread, is_parked: bool) -> None:
        interruptions.register()
        if is_parked:
            thread.parking.acquire()
        ready, to_run, to_send, slots = self.ready, self._to_run, self._to_send, self._slots
        controller = self.controller
        while not self._is_stopping:
            if to_send:
                self._send_batch()
            elif to_run and slots:
                self._run_batch(thread)
            elif ready and not self._is_poll_due():
                self._receive_batch()
            elif self._poller.acquire(blocking=False):
                try:
                    self._poll()
                finally:
                    self._poller.release()
                if controller.limit > 1 and (len(ready) > 1 or to_run):
                    self._unpark_another()
                continue
            else:
                self._park(thread)
                continue
            if controller.limit > 1 or self._has_excess():
                self._balance(thread)

        self._leave()

    def _leave(self) -> None:
        """End of a thread: responses that are ready now have no thread left to send them."""
        if self._is_forked_child:
            exit_child()
        interruptions.unregister()
        with suppress(IndexError):
            while True:
                self._to_send.popleft().close()
        self._release()

    def _release(self) -> None:
        """The last one closes the remaining items, which no thread holds any more, and the descriptors."""
        with self._parking_lock:
            self._remaining -= 1
            is_last = not self._remaining
        if is_last:
            for item in list(self.items.values()):
                with suppress(Exception):
                    item.close()
            self._thread_stats.close()
            self.epoll.close()
            close_eventfd(self._wake_fd)

    # An internal error in any of these costs one item, not the thread with everything that it serves.

    def _send_batch(self) -> None:
        to_send = self._to_send
        while to_send:
            try:
                item = to_send.popleft()
            except IndexError:
                return  # another thread took the last one
            try:
                item.send()
            except Exception:  # noqa: BLE001 - logged by `_drop`
                self._drop(item)

    def _run_batch(self, thread: PoolThread) -> None:
        """Run up to a batch of items; a single one while threads are active because others block."""
        to_run, to_send, run, controller = self._to_run, self._to_send, self._run, self.controller
        slot = thread.slot
        try:
            slot.append(self._slots.pop())
        except IndexError:
            return
        if self._is_controller_asleep:  # after the `pop`: the controller does the two in the opposite order
            self._wake_controller()
        now = began = time.monotonic()
        # While everything computes, the controller ticks less often: then no response waits for the rest of its batch.
        long_run = 0.0 if controller.is_computing else LONG_RUN
        try:
            for _ in range(BATCH if controller.limit <= controller.floor else 1):
                # Mostly it is seen here that there are no more: on free-threaded Python, an exception of compiled code
                # takes memory until the next collection.
                if not to_run or self._is_stopping or (now - began > long_run and (to_send or not slot)):
                    break
                item = to_run.popleft()
                thread.since = now
                thread.item = item
                try:
                    if run(item):
                        to_send.append(item)
                except Exception:  # noqa: BLE001 - logged by `_drop`
                    self._drop(item)
                thread.finished += 1
                now = time.monotonic()
        except IndexError:
            pass  # another thread took the last one
        finally:
            thread.item = None
            try:
                self._slots.append(slot.pop())
            except IndexError:  # it was moved out of the count
                with self._parking_lock:
                    self._moved -= 1

    def _receive_batch(self) -> None:
        ready, to_run = self.ready, self._to_run
        try:
            for _ in range(BATCH):
                if not ready:  # as in `_run_batch`
                    break
                item = ready.popleft()
                try:
                    if not item.receive():
                        continue
                    if len(to_run) < self._max_waiting:
                        to_run.append(item)
                    else:
                        self._overflow(item)
                except Exception:  # noqa: BLE001 - logged by `_drop`
                    self._drop(item)
        except IndexError:
            pass  # another thread took the last one

    def _drop(self, item: Item) -> None:
        log.exception("internal error; closing the connection")
        with suppress(Exception):
            item.close()

    def _is_poll_due(self) -> bool:
        """Items that queue themselves again must not starve those that wait in the epoll."""
        self._unpolled += 1  # not exact: if two threads count the same number, a poll is due a little later
        return self._unpolled > MAX_UNPOLLED and not self._poller.locked()

    def _poll(self) -> None:
        if self._is_stopping:
            return  # the nudge of `stop` may have gone to the thread that polled before
        self._unpolled = 0
        timeout = SWEEP_INTERVAL if len(self.items) > len(self._watched) else -1.0
        if self._timers:
            timeout = self._run_timers()
        if self._has_runnable_work():
            timeout = 0.0  # do that first, but have what waits here in the queue by then
        events = self.epoll.poll(timeout, MAX_EVENTS)
        items, ready = self.items, self.ready
        for fd, _ in events:
            item = items.get(fd)
            if item is not None:
                ready.append(item)
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._sweep(now)
            self.refuse_overdue()

    def _sweep(self, now: float) -> None:
        for item in list(self.items.values()):
            try:
                item.check_deadline(now)
            except Exception:
                log.exception("internal error")  # and no more: another thread may hold the item

    def refuse_overdue(self) -> None:
        """Refuse items that have waited too long, which no thread would find out while every thread is stuck."""
        to_run, is_overdue = self._to_run, self._is_overdue
        if is_overdue is None:
            return
        while to_run:
            try:
                item = to_run.popleft()
            except IndexError:
                return  # another thread took the last one
            if not is_overdue(item):
                to_run.appendleft(item)  # the others have waited for less
                return
            try:
                self._overflow(item)
            except Exception:  # noqa: BLE001 - logged by `_drop`
                self._drop(item)

    def _run_timers(self) -> float:
        """Make the calls that are due; return the seconds until the next one, at most `SWEEP_INTERVAL`."""
        now, seconds = time.monotonic(), SWEEP_INTERVAL
        for entry in list(self._timers):
            when, call = entry
            if when > now:
                seconds = min(seconds, when - now)
            else:
                self._timers.remove(entry)
                try:
                    call()
                except Exception:
                    log.exception("internal error")
        return seconds

    # Parking

    def _has_runnable_work(self) -> bool:
        """Whether the queues hold something that a thread could do now."""
        return bool(self._to_send or self.ready or (self._to_run and self._slots))

    def _has_excess(self) -> bool:
        return len(self.threads) - len(self._parked) - self._moved > self.controller.limit

    def _balance(self, thread: PoolThread) -> None:
        """After each step while more than one thread may be active: park if too many are, else unpark one."""
        if self._has_excess():
            # Not while there is work: the polling thread is woken by the epoll alone, and would not see the queues.
            if not (self._poller.locked() and self._has_runnable_work()):
                self._park(thread)
        elif self.ready or len(self._to_run) or not self._poller.locked():
            self._unpark_another()

    def _park(self, thread: PoolThread) -> None:
        """Wait until unparked, unless this thread is needed."""
        with self._parking_lock:
            active = len(self.threads) - len(self._parked) - self._moved
            if self._is_stopping or active <= 1:
                return
            if active <= self.controller.limit and not self._poller.locked():
                return  # no other thread polls
            self._parked.append(thread)
        thread.parking.acquire()
        self._send_batch()  # unparked because another thread is stuck: the responses of its batch must not wait

    def _unpark_another(self) -> None:
        with self._parking_lock:
            if not self._parked or len(self.threads) - len(self._parked) - self._moved >= self.controller.limit:
                return
            pool_thread = self._parked.pop()
        pool_thread.parking.release()

    # The controller's thread

    def _control(self) -> None:
        controller = self.controller
        while not self._is_stopping:
            time.sleep(RESCUE_INTERVAL if self._soon else controller.interval)
            if self._soon:
                self._make_soon_calls()
            is_polled = self._poller.locked()
            has_work = self._has_work()
            if is_polled and not has_work:
                controller.reset()
                controller.floor = min(self._parallelism(), controller.floor)  # an import may have re-enabled the GIL
                self._sleep_until_work()
                continue
            now = time.monotonic()
            if self._streams is not None and now >= self._streams_checked_at:
                self._check_streams(self._streams, now)
            sample = Sample(
                wall=now,
                finished=self.finished,
                is_polled=is_polled,
                has_work=has_work,
                inside=self._count - len(self._slots),
                is_held=self._has_runnable_work() and self._is_held(now - HELD_AFTER),
            )
            finished = controller.finished
            if controller.tick(sample) > 1 and not is_polled:
                self._unpark_another()
            elif is_polled and (sample.is_held or (sample.finished == finished and self._has_runnable_work())):
                self.nudge()  # the active threads are inside the application, and the polling one sees no queues

    def _make_soon_calls(self) -> None:
        for _ in range(len(self._soon)):  # not those that are added meanwhile
            try:
                self._soon.popleft()()
            except Exception:
                log.exception("internal error")

    def _is_held(self, moment: float) -> bool:
        """Whether all active threads but the polling one have been inside the application since before `moment`."""
        began = [each.since for each in self.threads if each.item is not None and each.slot]
        active = len(self.threads) - len(self._parked) - self._moved - self._poller.locked()
        return len(began) >= max(active, 1) and max(began) < moment

    def _has_work(self) -> bool:
        return bool(self.ready or self._to_run or self._to_send or len(self._slots) < self._count)

    def _check_streams(self, streams: Streams, now: float) -> None:
        """Move threads that are occupied by streams out of the count, while there is room for them."""
        is_needed = bool(self._to_run) and not self._slots
        self._streams_checked_at = now + (STREAMS_INTERVAL_NEEDED if is_needed else STREAMS_INTERVAL)
        occupied = []
        for pool_thread in list(self.threads):
            item = pool_thread.item
            if item is not None and pool_thread.slot and streams.is_streaming(item, is_needed):
                occupied.append(pool_thread)
        for pool_thread in occupied:
            if not self._move_out(pool_thread):
                break
        else:
            return
        if sum(bool(each.slot) for each in occupied) == self._count:
            streams.on_all_streaming()

    def _move_out(self, pool_thread: PoolThread) -> bool:
        """Take the thread out of the count; return whether there is room for one more."""
        if self._moved >= self._stream_threads:
            return False
        # One thread takes its place, and then there is still one more than may run at once.
        if len(self.threads) < self._count + self._moved + 2 and not self._add_thread():
            return False
        with self._parking_lock:
            try:
                pool_thread.slot.pop()
            except IndexError:
                return True  # the stream has ended
            self._moved += 1
        self._slots.append(None)
        self._unpark_another()
        if self._to_run and self._poller.locked():
            self.nudge()
        return True

    def _add_thread(self) -> bool:
        pool_thread = self._make_thread(is_parked=True)
        with self._parking_lock:
            if self._is_stopping:
                return False
            try:
                pool_thread.thread.start()
            except RuntimeError as error:  # past a limit of the system
                log.warning("Cannot start a thread for streams (%s); no more than %d", error, self._moved)
                self._stream_threads = self._moved
                return False
            self._remaining += 1
            self._parked.append(pool_thread)
            self.threads.append(pool_thread)
        self._thread_stats.add(pool_thread.thread.native_id or 0)
        return True

    def _wake_controller(self) -> None:
        self._is_controller_asleep = False
        with suppress(RuntimeError):  # another thread was quicker; at worst the controller ticks once too often
            self._controller_parking.release()

    def _sleep_until_work(self) -> None:
        """Sleep until a thread runs something."""
        self._is_controller_asleep = True
        if self._poller.locked() and not self._has_work() and not self._is_stopping:
            self._controller_parking.acquire()
        self._is_controller_asleep = False
