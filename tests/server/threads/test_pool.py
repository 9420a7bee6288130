"""The pool over real sockets, with items that are not connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.portable import EPOLLIN, EPOLLONESHOT
from ropewalk.threads import pool as pool_module
from ropewalk.threads.pool import BATCH, Item, Pool

WaitFor = Callable[[Callable[[], object], str], None]
PATIENCE = 20.0
ARMED = EPOLLIN | EPOLLONESHOT


class Echo:
    """Receives one octet at an event, sends it back when it has been run."""

    def __init__(self, pool: Pool, run: Callable[[bytes], None]) -> None:
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.there.settimeout(PATIENCE)
        self.pool = pool
        self.octet = b""
        self.on_run = run
        self.is_closed = False
        pool.watch(self.here.fileno(), self, ARMED)

    def receive(self) -> bool:
        self.octet = self.here.recv(1)
        return bool(self.octet)

    def send(self) -> None:
        self.here.send(self.octet)
        self.pool.epoll.modify(self.here.fileno(), ARMED)

    def check_deadline(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def ask(self, octet: bytes = b"x") -> bytes:
        self.there.send(octet)
        return self.there.recv(1)


class Harness:
    """A pool and the items in it."""

    def __init__(self, threads: int, max_waiting: int = 1000, parallelism: int = 1, **arguments: Any) -> None:
        self.overflowed: list[Item] = []
        self.overdue: set[Item] = set()
        self.parallelism = parallelism
        self.pool = Pool(
            threads=threads,
            run=self.run,
            overflow=self.overflowed.append,
            max_waiting=max_waiting,
            parallelism=lambda: self.parallelism,
            is_overdue=self.overdue.__contains__,
            **arguments,
        )
        self.items: list[Echo] = []
        self.go_on = threading.Event()
        self.inside = threading.Semaphore(0)
        self.most_inside = self.now_inside = 0
        self.lock = threading.Lock()

    def run(self, item: Any) -> bool:
        item.on_run(item.octet)
        return True

    def item(self, run: Callable[[bytes], None] = lambda octet: None) -> Echo:
        self.items.append(Echo(self.pool, run))
        return self.items[-1]

    def block(self, octet: bytes) -> None:
        """Run until `go_on` is set; only for octets `b`."""
        if octet != b"b":
            return
        with self.lock:
            self.now_inside += 1
            self.most_inside = max(self.most_inside, self.now_inside)
        self.inside.release()
        assert self.go_on.wait(PATIENCE)
        with self.lock:
            self.now_inside -= 1

    def close(self) -> None:
        self.go_on.set()
        self.pool.stop()
        for item in self.items:
            item.here.close()
            item.there.close()


@pytest.fixture
def harness() -> Iterator[Callable[..., Harness]]:
    with contextlib.ExitStack() as stack:

        def make(threads: int, **arguments: Any) -> Harness:
            made = Harness(threads, **arguments)
            stack.callback(made.close)
            made.pool.start()
            return made

        yield make


def test_every_item_is_received_run_and_sent(harness: Callable[..., Harness]) -> None:
    items = [each.item() for each in [harness(4)] for _ in range(20)]
    for octet in (b"1", b"2", b"3"):
        assert [item.ask(octet) for item in items] == [octet] * 20


def test_as_many_run_at_once_as_there_are_threads_and_no_more(harness: Callable[..., Harness]) -> None:
    made = harness(4)
    items = [made.item(made.block) for _ in range(10)]
    for item in items:
        item.there.send(b"b")
    for _ in range(4):
        assert made.inside.acquire(timeout=PATIENCE)
    made.go_on.set()
    assert [item.there.recv(1) for item in items] == [b"b"] * 10
    assert made.most_inside == 4


def test_a_blocked_thread_does_not_hold_up_the_others(harness: Callable[..., Harness]) -> None:
    made = harness(2)
    blocked, free = made.item(made.block), made.item()
    blocked.there.send(b"b")
    assert made.inside.acquire(timeout=PATIENCE)
    assert all(free.ask() == b"x" for _ in range(50))


def test_a_response_does_not_wait_for_a_slow_request_of_its_batch(harness: Callable[..., Harness]) -> None:
    made = harness(3)
    quick = [made.item() for _ in range(BATCH // 2)]
    slow = made.item(made.block)
    for item in (*quick, slow):
        item.there.send(b"b")
    assert made.inside.acquire(timeout=PATIENCE)
    assert [item.there.recv(1) for item in quick] == [b"b"] * len(quick)  # while the slow one is inside


def test_a_response_does_not_wait_for_a_thread_that_polls(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread receives while the other is in the epoll already, and then is held by the last of its batch."""
    monkeypatch.setattr(pool_module, "SWEEP_INTERVAL", 1000.0)  # what would wake it by chance
    made = harness(3, parallelism=2)
    quick, slow = made.item(), made.item(made.block)

    class Pipelined(Echo):
        def receive(self) -> bool:
            made.pool._unpark_another()  # nothing else has it poll once the controller sleeps
            _wait(made.pool._poller.locked)
            for item in (quick, slow):
                made.pool.queue(item)
            return super().receive()

    first = Pipelined(made.pool, lambda octet: None)
    made.items.append(first)
    for item in (quick, slow):
        made.pool.epoll.modify(item.here.fileno(), EPOLLONESHOT)
        item.there.send(b"b")
    assert first.ask() == b"x"
    assert made.inside.acquire(timeout=PATIENCE)
    assert quick.there.recv(1) == b"b"
    assert made.now_inside == 1


def test_no_thread_polls_once_the_pool_stops(harness: Callable[..., Harness]) -> None:
    """The nudge of `stop` wakes one thread: another that was about to poll must not go to sleep."""
    made = harness(2)
    made.pool.stop()
    made.pool._poll()  # the epoll is closed: it would raise


def test_as_many_threads_are_active_as_compute_in_parallel(harness: Callable[..., Harness]) -> None:
    made = harness(4, parallelism=3)
    assert made.pool.controller.limit == 3
    meet = threading.Barrier(3)
    items = [made.item(lambda octet: [meet.wait(PATIENCE)].clear()) for _ in range(3)]
    for item in items:
        item.there.send(b"x")
    assert [item.there.recv(1) for item in items] == [b"x"] * 3


def test_a_gil_that_is_enabled_again_is_noticed(harness: Callable[..., Harness]) -> None:
    made = harness(4, parallelism=3)
    made.parallelism = 1
    made.item().ask()
    _wait(lambda: made.pool.controller.floor == 1)


def test_all_threads_blocked_leaves_one_for_the_sockets(harness: Callable[..., Harness]) -> None:
    made = harness(2, max_waiting=1)
    items = [made.item(made.block) for _ in range(6)]
    for item in items[:2]:
        item.there.send(b"b")
        assert made.inside.acquire(timeout=PATIENCE)
    for item in items[2:]:
        item.there.send(b"b")
    _wait(lambda: len(made.overflowed) == 3)  # one may wait, the others are refused at once
    assert made.pool.waiting == 1


def test_items_that_have_waited_too_long_are_refused_and_the_others_keep_their_places(
    harness: Callable[..., Harness],
) -> None:
    made = harness(1)
    ran: list[bytes] = []
    holding, *items = [made.item(made.block), *(made.item(ran.append) for _ in range(4))]
    holding.there.send(b"b")
    assert made.inside.acquire(timeout=PATIENCE)
    for number, item in enumerate(items):
        item.there.send(b"%d" % number)
        _wait(lambda number=number: made.pool.waiting == number + 1)
    made.overdue.update(items[:2])
    made.pool.refuse_overdue()
    assert made.overflowed == items[:2]
    made.go_on.set()
    assert [item.there.recv(1) for item in items[2:]] == [b"2", b"3"]
    assert ran == [b"2", b"3"]


def test_an_internal_error_costs_one_item_only(
    harness: Callable[..., Harness], capfd: pytest.CaptureFixture[str]
) -> None:
    made = harness(2)

    def fail(octet: bytes) -> None:
        raise RuntimeError("planted")

    bad, good = made.item(fail), made.item()
    bad.there.send(b"x")
    _wait(lambda: bad.is_closed)
    assert good.ask() == b"x"
    assert "planted" in capfd.readouterr().err


def test_a_failed_check_of_a_deadline_costs_neither_a_thread_nor_the_other_checks(
    harness: Callable[..., Harness], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "SWEEP_INTERVAL", 0.0)
    made = harness(1)
    checked: list[float] = []

    def fail(now: float) -> None:
        raise RuntimeError("planted")

    bad, good = made.item(), made.item()
    monkeypatch.setattr(bad, "check_deadline", fail)
    monkeypatch.setattr(good, "check_deadline", checked.append)
    assert [good.ask() for _ in range(5)] == [b"x"] * 5
    _wait(lambda: checked)
    assert all(each.thread.is_alive() for each in made.pool.threads)
    assert "planted" in capfd.readouterr().err
    assert not bad.is_closed  # another thread may hold it


def test_a_failed_call_later_costs_no_thread(
    harness: Callable[..., Harness], capfd: pytest.CaptureFixture[str]
) -> None:
    made = harness(1)
    is_called = threading.Event()

    def fail() -> None:
        raise RuntimeError("planted")

    made.pool.call_later(0.0, fail)
    made.pool.call_later(0.0, is_called.set)
    assert is_called.wait(PATIENCE)
    assert made.item().ask() == b"x"
    assert all(each.thread.is_alive() for each in made.pool.threads)
    assert "planted" in capfd.readouterr().err


def test_running_items_are_listed(harness: Callable[..., Harness]) -> None:
    made = harness(2)
    assert list(made.pool.running()) == []
    item = made.item(made.block)
    item.there.send(b"b")
    assert made.inside.acquire(timeout=PATIENCE)
    [(worker, running, since)] = made.pool.running()
    assert running is item
    assert worker.thread.is_alive()
    assert since <= time.monotonic()


def test_an_item_queued_from_outside_is_received(harness: Callable[..., Harness]) -> None:
    made = harness(1)
    item = made.item()
    made.pool.epoll.modify(item.here.fileno(), EPOLLONESHOT)
    item.there.send(b"q")
    made.pool.queue(item)
    made.pool.nudge()
    assert item.there.recv(1) == b"q"


def test_an_idle_controller_sleeps(harness: Callable[..., Harness]) -> None:
    made = harness(4)
    item = made.item()
    item.ask()
    _wait(lambda: made.pool._is_controller_asleep)
    assert item.ask() == b"x"  # and wakes again
    _wait(lambda: made.pool._is_controller_asleep)


def test_listeners_are_not_counted_as_connections(harness: Callable[..., Harness]) -> None:
    """Also when a connection gets the descriptor of a listener that was closed."""
    made = harness(1)
    listener, connection, other = made.item(), made.item(), made.item()
    assert made.pool.connections == 0
    closed, free = listener.here.fileno(), other.here.fileno() + 1000
    made.pool.add_connection(closed, connection)
    made.pool.add_connection(free, other)
    assert made.pool.connections == 2
    made.pool.remove_connection(closed, other)  # not its own
    assert made.pool.connections == 2
    made.pool.remove_connection(closed, connection)
    made.pool.remove_connection(free, other)
    assert made.pool.connections == 0


def test_what_waits_when_the_pool_stops_is_not_run(harness: Callable[..., Harness]) -> None:
    """The service closes it next."""
    made, ran = harness(1), []

    def run(item: Any) -> bool:
        ran.append(item)
        made.pool._to_run.append(second)
        made.pool.stop()
        return False  # nothing to send, for which the thread would interrupt its batch

    first, second = made.item(), made.item()
    made.pool._run = run
    first.there.send(b"a")
    for each in made.pool.threads:
        each.thread.join(PATIENCE)
        assert not each.thread.is_alive()
    assert ran == [first]


def test_stop_ends_every_thread(harness: Callable[..., Harness]) -> None:
    made = harness(8)
    made.item().ask()
    made.pool.stop()
    assert not any(each.thread.is_alive() for each in made.pool.threads)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_stop_ends_a_pool_whose_start_was_interrupted(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ctrl-C: `count` of its threads run, and the descriptors are closed all the same."""
    made = Harness(4)

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(made.pool.threads[count].thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.pool.start()
    made.close()
    assert made.pool.epoll.closed


def test_every_item_is_served_under_a_mixed_load(harness: Callable[..., Harness]) -> None:
    made = harness(8)

    def mixed(octet: bytes) -> None:
        if octet == b"w":
            threading.Event().wait(0.002)
        elif octet == b"c":
            sum(range(2000))

    items = [made.item(mixed) for _ in range(64)]
    for round_ in range(30):
        octet = (b"w", b"c", b"x")[round_ % 3]
        for item in items:
            item.there.send(octet)
        assert [item.there.recv(1) for item in items] == [octet] * 64


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.005)


class FakeStreams:
    """What an item is: a stream, if it is in `streaming`."""

    def __init__(self) -> None:
        self.streaming: set[Item] = set()
        self.all_streaming = threading.Event()

    def is_streaming(self, item: Item, is_thread_needed: bool) -> bool:
        return item in self.streaming

    def on_all_streaming(self) -> None:
        self.all_streaming.set()


def test_streams_move_out_of_the_count_and_back(harness: Callable[..., Harness]) -> None:
    streams = FakeStreams()
    made = harness(2, stream_threads=3, streams=streams)
    items = [made.item(made.block) for _ in range(5)]
    free = made.item()
    for number, item in enumerate(items, 1):
        item.there.send(b"b")
        assert made.inside.acquire(timeout=PATIENCE)
        if number <= 3:
            streams.streaming.add(item)
            _wait(lambda number=number: made.pool.moved == number)
            assert free.ask() == b"x"
    # Three are moved, and two count: there is no room for more.
    free.there.send(b"x")
    _wait(lambda: made.pool.waiting == 1)
    assert made.most_inside == 5
    assert not streams.all_streaming.is_set()
    streams.streaming.update(items)
    assert streams.all_streaming.wait(PATIENCE)
    assert made.pool.moved == 3
    made.go_on.set()
    assert [item.there.recv(1) for item in items] == [b"b"] * 5
    assert free.there.recv(1) == b"x"
    _wait(lambda: made.pool.moved == 0)
    assert len(made.pool.threads) == 2 + 1 + 3


def test_the_count_holds_after_streams_have_come_and_gone(harness: Callable[..., Harness]) -> None:
    streams = FakeStreams()
    made = harness(2, stream_threads=2, streams=streams)
    for _ in range(3):
        items = [made.item(made.block) for _ in range(2)]
        streams.streaming.update(items)
        for item in items:
            item.there.send(b"b")
            assert made.inside.acquire(timeout=PATIENCE)
        _wait(lambda: made.pool.moved == 2)
        made.go_on.set()
        assert [item.there.recv(1) for item in items] == [b"b"] * 2
        _wait(lambda: made.pool.moved == 0)
        made.go_on.clear()
    made.most_inside = 0
    items = [made.item(made.block) for _ in range(6)]
    for item in items:
        item.there.send(b"b")
    for _ in range(2):
        assert made.inside.acquire(timeout=PATIENCE)
    _wait(lambda: made.pool.waiting == 4)
    made.go_on.set()
    assert [item.there.recv(1) for item in items] == [b"b"] * 6
    assert made.most_inside == 2
    assert len(made.pool.threads) == 2 + 1 + 2  # the threads are used again


def test_all_threads_streaming_is_reported_without_threads_for_streams(harness: Callable[..., Harness]) -> None:
    streams = FakeStreams()
    made = harness(2, streams=streams)
    items = [made.item(made.block) for _ in range(2)]
    streams.streaming.add(items[0])
    for item in items:
        item.there.send(b"b")
        assert made.inside.acquire(timeout=PATIENCE)
    assert not streams.all_streaming.is_set()
    streams.streaming.add(items[1])
    assert streams.all_streaming.wait(PATIENCE)


def test_a_thread_that_cannot_be_started_leaves_the_stream_where_it_is(
    harness: Callable[..., Harness], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    streams = FakeStreams()
    made = harness(1, stream_threads=5, streams=streams)
    monkeypatch.setattr(threading.Thread, "start", fail)
    stream = made.item(made.block)
    streams.streaming.add(stream)
    stream.there.send(b"b")
    assert streams.all_streaming.wait(PATIENCE)
    monkeypatch.undo()
    assert made.pool.moved == 0
    assert len(made.pool.threads) == 2
    assert "Cannot start a thread for streams (can't start new thread); no more than 0" in capfd.readouterr().err
    made.go_on.set()
    assert stream.there.recv(1) == b"b"


def test_stop_ends_the_threads_that_were_added(harness: Callable[..., Harness]) -> None:
    streams = FakeStreams()
    made = harness(1, stream_threads=2, streams=streams)
    for _ in range(2):
        stream = made.item(made.block)
        streams.streaming.add(stream)
        stream.there.send(b"b")
        assert made.inside.acquire(timeout=PATIENCE)
    _wait(lambda: made.pool.moved == 2)
    made.go_on.set()
    for item in made.items:
        assert item.there.recv(1) == b"b"
    made.pool.stop()
    assert len(made.pool.threads) == 4
    assert not any(each.thread.is_alive() for each in made.pool.threads)
