"""One listening socket: what is accepted, left to other workers, or has to wait."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.net.accept_balance import DEFER_TIMEOUT, SharedCounts, WorkerSlot
from ropewalk.net.acceptor import ACCEPT_BATCH, LISTENING, PAUSE, Acceptor, WakeListener
from ropewalk.portable import Epoll


class Listening:
    """An acceptor, its socket and its clients; what it asks of the pool is only noted."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.epoll = Epoll()
        self.accepted: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.has_connections = True
        self.has_idle = False  # connections that can be closed to make room
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.paused: set[Acceptor] = set()
        self.acceptor = Acceptor(
            self.listener,
            self.epoll,
            lambda sock, peer, acceptor: self.accepted.append(sock),
            lambda: self.has_connections,
            self.paused,
            lambda seconds, call: self.calls.append((seconds, call)),
            lambda: self.has_idle,
        )
        self.epoll.register(self.listener.fileno(), LISTENING)

    def connect(self, count: int) -> None:
        self.clients += [socket.create_connection(self.listener.getsockname(), timeout=20) for _ in range(count)]

    def run_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """As the pool does; a callback that was put off asks again."""
        threading.Event().wait(seconds)
        count = len(self.calls)
        callback()
        while len(self.calls) > count:
            count = len(self.calls)
            threading.Event().wait(self.calls[-1][0])
            self.calls[-1][1]()

    def close(self) -> None:
        for sock in (*self.accepted, *self.clients, self.listener):
            sock.close()
        self.epoll.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    yield listening
    listening.close()


def test_everything_in_the_backlog_is_accepted_without_blocking(listening: Listening) -> None:
    listening.connect(5)
    assert listening.epoll.poll(20)
    assert listening.acceptor.receive() is False
    assert len(listening.accepted) == 5
    assert not any(sock.getblocking() for sock in listening.accepted)


def test_accepted_sockets_have_tcp_nodelay(listening: Listening) -> None:
    listening.connect(1)
    assert listening.epoll.poll(20)
    listening.acceptor.receive()
    assert listening.accepted[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_drain_accepts_the_backlog_and_then_refuses(listening: Listening) -> None:
    listening.connect(3)
    address = listening.listener.getsockname()
    listening.acceptor.drain()
    assert len(listening.accepted) == 3
    assert listening.epoll.poll(0) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_the_socket_of_another_worker_stays_open(listening: Listening) -> None:
    with listening.listener.dup() as others:
        listening.acceptor.drain()
        listening.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        listening.accepted.append(others.accept()[0])


def test_an_event_from_before_the_drain_accepts_nothing(listening: Listening) -> None:
    with listening.listener.dup() as others:
        listening.connect(1)
        assert listening.epoll.poll(20)
        listening.acceptor.drain()
        listening.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        listening.acceptor.receive()  # by the thread that had polled; nobody would serve what it accepted
        WakeListener([listening.acceptor]).receive()
        listening.acceptor.check_deadline(time.monotonic())
        assert len(listening.accepted) == 1
        listening.accepted.append(others.accept()[0])


class Exhausted:
    """In place of a listening socket, when no descriptor is free."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.attempts = 0

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> Any:
        self.attempts += 1
        raise OSError(errno.EMFILE, "Too many open files")


def pause(listening: Listening) -> None:
    """Let a connection wait that cannot be accepted."""
    listening.connect(1)
    real, listening.acceptor.sock = listening.acceptor.sock, Exhausted(listening.listener)
    listening.acceptor.receive()
    listening.acceptor.sock = real


def test_without_a_free_descriptor_it_pauses_and_logs_it(
    listening: Listening, capfd: pytest.CaptureFixture[str]
) -> None:
    pause(listening)
    assert listening.epoll.poll(0) == []  # otherwise the kernel would report it again and again
    assert listening.paused == {listening.acceptor}
    assert "cannot accept: Too many open files" in capfd.readouterr().err


def test_room_that_an_idle_connection_makes_is_no_error(
    listening: Listening, capfd: pytest.CaptureFixture[str]
) -> None:
    listening.has_idle, listening.has_connections = True, False  # closed already
    pause(listening)
    assert listening.paused == {listening.acceptor}
    assert "cannot accept" not in capfd.readouterr().err


def test_without_a_free_descriptor_nothing_happens_if_nothing_waits(listening: Listening) -> None:
    real, listening.acceptor.sock = listening.acceptor.sock, Exhausted(listening.listener)
    listening.acceptor.receive()
    listening.acceptor.sock = real
    assert not listening.paused
    listening.connect(1)
    assert listening.epoll.poll(20)


def test_a_pause_ends_after_a_second(listening: Listening) -> None:
    pause(listening)
    listening.acceptor.check_deadline(time.monotonic())
    assert listening.epoll.poll(0) == []
    listening.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert listening.epoll.poll(20)
    listening.acceptor.receive()
    assert len(listening.accepted) == 1


def test_a_pause_ends_when_a_connection_is_closed(listening: Listening) -> None:
    pause(listening)
    listening.acceptor.resume()
    assert listening.paused == set()
    assert listening.epoll.poll(20)
    listening.acceptor.resume()  # as another thread may
    listening.acceptor.receive()
    assert len(listening.accepted) == 1


def test_without_connections_it_resumes_by_itself(listening: Listening) -> None:
    listening.has_connections = False
    listening.connect(1)
    listening.acceptor.sock = Exhausted(listening.listener)
    listening.acceptor.receive()
    assert listening.paused == set()
    assert listening.epoll.poll(20)


def test_a_pause_that_repeats_is_logged_once(listening: Listening, capfd: pytest.CaptureFixture[str]) -> None:
    pause(listening)
    exhausted = Exhausted(listening.listener)
    listening.acceptor.sock = exhausted
    for _ in range(3):
        listening.acceptor.resume()
        listening.acceptor.receive()
    assert exhausted.attempts == 3
    assert capfd.readouterr().err.count("cannot accept") == 1


def test_a_closed_acceptor_does_not_resume(listening: Listening) -> None:
    pause(listening)
    listening.acceptor.close()
    listening.acceptor.resume()
    listening.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert listening.epoll.poll(0) == []


def test_a_long_backlog_is_accepted_in_batches(listening: Listening) -> None:
    listening.connect(ACCEPT_BATCH + 3)
    listening.acceptor.receive()
    assert len(listening.accepted) == ACCEPT_BATCH
    [(seconds, call)] = listening.calls
    listening.run_later(seconds, call)
    assert len(listening.accepted) == ACCEPT_BATCH + 3


def test_a_connection_reported_to_another_worker_is_found(listening: Listening) -> None:
    listening.connect(1)
    listening.acceptor.check_deadline(0.0)
    assert len(listening.accepted) == 1


class TwoWorkers:
    """Two workers of one `SharedCounts`, in this process: the acceptor is the first; tests set what the second has."""

    def __init__(self, listening: Listening) -> None:
        self.shared_counts = SharedCounts()
        self.shared_counts.words[0] = 2
        self.other_count = 0
        listening.acceptor.slot = WorkerSlot(self.shared_counts, 4, lambda: len(listening.accepted))
        self.other = WorkerSlot(self.shared_counts, 8, lambda: self.other_count)

    @property
    def have_others_been_woken(self) -> bool:
        try:
            return bool(os.eventfd_read(self.shared_counts.wake_fd))
        except BlockingIOError:
            return False


@pytest.fixture
def two(listening: Listening) -> Iterator[TwoWorkers]:
    two = TwoWorkers(listening)
    yield two
    two.shared_counts.close()


def test_a_worker_accepts_no_more_than_another_has(listening: Listening, two: TwoWorkers) -> None:
    listening.connect(3)
    listening.acceptor.receive()
    assert len(listening.accepted) == 1
    assert two.have_others_been_woken
    two.other_count = 1
    two.other.count_accepted()
    WakeListener([listening.acceptor]).receive()
    assert len(listening.accepted) == 2


def test_a_connection_is_not_left_for_long_to_a_worker_that_does_not_come(
    listening: Listening, two: TwoWorkers
) -> None:
    listening.connect(4)
    listening.acceptor.receive()
    [(seconds, call)] = listening.calls
    assert seconds == DEFER_TIMEOUT
    listening.run_later(seconds, call)
    assert len(listening.accepted) == 4  # the other is not deferred to again


def test_a_worker_that_looks_again_is_deferred_to_again(listening: Listening, two: TwoWorkers) -> None:
    listening.connect(2)
    listening.acceptor.receive()
    listening.run_later(*listening.calls.pop())
    two.other.heartbeat()
    listening.connect(1)
    listening.acceptor.receive()
    assert len(listening.accepted) == 2


def test_a_worker_that_has_withdrawn_is_not_deferred_to(listening: Listening, two: TwoWorkers) -> None:
    two.other.withdraw()
    listening.connect(3)
    listening.acceptor.receive()
    assert len(listening.accepted) == 3


def test_nobody_is_woken_when_nothing_waits(listening: Listening, two: TwoWorkers) -> None:
    listening.connect(1)
    listening.acceptor.receive()
    listening.acceptor.receive()
    assert not two.have_others_been_woken
    assert listening.calls == []


def test_a_look_at_the_backlog_while_another_thread_accepts_harms_neither(
    listening: Listening, two: TwoWorkers
) -> None:
    listening.connect(2)
    listening.acceptor.receive()  # one is left to the other worker
    failures: list[RuntimeError] = []

    def repeat(look: Callable[[], object]) -> None:
        try:
            for _ in range(2000):
                listening.calls.clear()
                look()
        except RuntimeError as error:
            failures.append(error)

    looks = (listening.acceptor.receive, lambda: listening.acceptor.check_deadline(0.0))
    threads = [threading.Thread(target=repeat, args=(look,)) for look in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_deadline_is_checked_without_waiting_for_a_thread_that_accepts(listening: Listening) -> None:
    listening.connect(1)
    is_accepting, may_continue = threading.Event(), threading.Event()

    def accept() -> None:
        with listening.acceptor._lock:
            is_accepting.set()
            may_continue.wait(20)

    thread = threading.Thread(target=accept)
    thread.start()
    assert is_accepting.wait(20)
    listening.acceptor.check_deadline(0.0)
    assert listening.accepted == []
    may_continue.set()
    thread.join()
    listening.acceptor.check_deadline(0.0)
    assert len(listening.accepted) == 1


def test_an_internal_error_does_not_end_the_accepting(
    listening: Listening, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[socket.socket] = []

    def fail(sock: socket.socket, peer: Any, acceptor: Acceptor) -> None:
        refused.append(sock)
        raise MemoryError("no room for a connection")

    with monkeypatch.context() as broken:
        broken.setattr(listening.acceptor, "_on_accepted", fail)
        listening.connect(3)
        listening.acceptor.receive()
        listening.acceptor.receive()
    assert [sock.fileno() for sock in refused] == [-1, -1]  # their clients are not left waiting
    [(seconds, call)] = listening.calls
    assert seconds == PAUSE
    listening.run_later(seconds, call)
    assert len(listening.accepted) == 1
    assert capfd.readouterr().err.count("MemoryError: no room for a connection") == 1  # each second
