from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.net.accept_balance import DEFER_TIMEOUT, SharedCounts, WorkerSlot
from ropewalk.net.acceptor import ACCEPT_BATCH, LISTENING, PAUSE, Acceptor, WakeListener


class Hall:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.adopted: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.has_connections = True
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.paused: set[Acceptor] = set()
        self.acceptor = Acceptor(
            self.listener,
            self.epoll,
            lambda sock, peer, acceptor: self.adopted.append(sock),
            lambda: self.has_connections,
            self.paused,
            lambda seconds, call: self.calls.append((seconds, call)),
        )
        self.epoll.register(self.listener.fileno(), LISTENING)

    def connect(self, count: int) -> None:
        self.clients += [socket.create_connection(self.listener.getsockname(), timeout=20) for _ in range(count)]

    def wait_and_call(self, seconds: float, call: Callable[[], None]) -> None:
        """As the pool does; a call that finds itself put off asks again."""
        threading.Event().wait(seconds)
        count = len(self.calls)
        call()
        while len(self.calls) > count:
            count = len(self.calls)
            threading.Event().wait(self.calls[-1][0])
            self.calls[-1][1]()

    def close(self) -> None:
        for sock in (*self.adopted, *self.clients, self.listener):
            sock.close()
        self.epoll.close()


@pytest.fixture
def hall() -> Iterator[Hall]:
    hall = Hall()
    yield hall
    hall.close()


def test_waiting_connections_are_accepted_without_blocking(hall: Hall) -> None:
    hall.connect(5)
    assert hall.epoll.poll(20)
    assert hall.acceptor.receive() is False
    assert len(hall.adopted) == 5
    assert not any(sock.getblocking() for sock in hall.adopted)


def test_small_responses_have_no_delay_from_nagle(hall: Hall) -> None:
    hall.connect(1)
    assert hall.epoll.poll(20)
    hall.acceptor.receive()
    assert hall.adopted[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_draining_takes_the_backlog_and_then_refuses(hall: Hall) -> None:
    hall.connect(3)
    address = hall.listener.getsockname()
    hall.acceptor.drain()
    assert len(hall.adopted) == 3
    assert hall.epoll.poll(0) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_another_workers_socket_is_not_closed_with_this_ones(hall: Hall) -> None:
    with hall.listener.dup() as others:
        hall.acceptor.drain()
        hall.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        hall.adopted.append(others.accept()[0])


def test_an_event_from_before_the_drain_accepts_nothing(hall: Hall) -> None:
    with hall.listener.dup() as others:
        hall.connect(1)
        assert hall.epoll.poll(20)
        hall.acceptor.drain()
        hall.clients.append(socket.create_connection(others.getsockname(), timeout=20))
        hall.acceptor.receive()  # by the thread that had polled; nobody would serve what it took
        WakeListener([hall.acceptor]).receive()
        hall.acceptor.check_deadline(time.monotonic())
        assert len(hall.adopted) == 1
        hall.adopted.append(others.accept()[0])


class Exhausted:
    """In the place of a listening socket, when there is no descriptor left."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.attempts = 0

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> Any:
        self.attempts += 1
        raise OSError(errno.EMFILE, "Too many open files")


def pause(hall: Hall) -> None:
    """Let a connection wait that cannot be accepted."""
    hall.connect(1)
    real, hall.acceptor.sock = hall.acceptor.sock, Exhausted(hall.listener)  # type: ignore[assignment]
    hall.acceptor.receive()
    hall.acceptor.sock = real


def test_without_descriptors_it_pauses_and_says_so(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    pause(hall)
    assert hall.epoll.poll(0) == []  # otherwise it would be told again and again
    assert hall.paused == {hall.acceptor}
    assert "cannot accept: Too many open files" in capfd.readouterr().err


def test_a_pause_is_over_after_a_while(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.check_deadline(time.monotonic())
    assert hall.epoll.poll(0) == []
    hall.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert hall.epoll.poll(20)
    hall.acceptor.receive()
    assert len(hall.adopted) == 1


def test_a_pause_is_over_when_a_connection_ends(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.resume()
    assert hall.paused == set()
    assert hall.epoll.poll(20)
    hall.acceptor.resume()  # as another thread may
    hall.acceptor.receive()
    assert len(hall.adopted) == 1


def test_without_connections_whose_end_could_be_awaited_it_goes_on_by_itself(hall: Hall) -> None:
    hall.has_connections = False
    hall.connect(1)
    hall.acceptor.sock = Exhausted(hall.listener)  # type: ignore[assignment]
    hall.acceptor.receive()
    assert hall.paused == set()
    assert hall.epoll.poll(20)


def test_pause_that_is_reported_again_and_again_is_logged_once(hall: Hall, capfd: pytest.CaptureFixture[str]) -> None:
    pause(hall)
    exhausted = Exhausted(hall.listener)
    hall.acceptor.sock = exhausted  # type: ignore[assignment]
    for _ in range(3):
        hall.acceptor.resume()
        hall.acceptor.receive()
    assert exhausted.attempts == 3
    assert capfd.readouterr().err.count("cannot accept") == 1


def test_closed_acceptor_does_not_resume(hall: Hall) -> None:
    pause(hall)
    hall.acceptor.close()
    hall.acceptor.resume()
    hall.acceptor.check_deadline(time.monotonic() + PAUSE)
    assert hall.epoll.poll(0) == []


def test_a_long_backlog_is_taken_in_parts(hall: Hall) -> None:
    hall.connect(ACCEPT_BATCH + 3)
    hall.acceptor.receive()
    assert len(hall.adopted) == ACCEPT_BATCH
    [(seconds, call)] = hall.calls
    hall.wait_and_call(seconds, call)
    assert len(hall.adopted) == ACCEPT_BATCH + 3


def test_connection_announced_to_another_worker_is_found(hall: Hall) -> None:
    hall.connect(1)
    hall.acceptor.check_deadline(0.0)
    assert len(hall.adopted) == 1


class Two:
    """Two workers of one `SharedCounts`, in this process: the acceptor is the first; tests set what the second has."""

    def __init__(self, hall: Hall) -> None:
        self.shared_counts = SharedCounts()
        self.shared_counts.words[0] = 2
        self.has = 0
        hall.acceptor.slot = WorkerSlot(self.shared_counts, 4, lambda: len(hall.adopted))
        self.other = WorkerSlot(self.shared_counts, 8, lambda: self.has)

    @property
    def has_rung(self) -> bool:
        try:
            return bool(os.eventfd_read(self.shared_counts.wake_fd))
        except BlockingIOError:
            return False


@pytest.fixture
def two(hall: Hall) -> Iterator[Two]:
    two = Two(hall)
    yield two
    two.shared_counts.close()


def test_no_more_is_taken_than_another_worker_has(hall: Hall, two: Two) -> None:
    hall.connect(3)
    hall.acceptor.receive()
    assert len(hall.adopted) == 1
    assert two.has_rung
    two.has = 1
    two.other.count_accepted()
    WakeListener([hall.acceptor]).receive()
    assert len(hall.adopted) == 2


def test_a_connection_is_not_left_for_long_to_who_does_not_come(hall: Hall, two: Two) -> None:
    hall.connect(4)
    hall.acceptor.receive()
    [(seconds, call)] = hall.calls
    assert seconds == DEFER_TIMEOUT
    hall.wait_and_call(seconds, call)
    assert len(hall.adopted) == 4  # the other is not hoped for again


def test_worker_that_responds_again_is_waited_for_again(hall: Hall, two: Two) -> None:
    hall.connect(2)
    hall.acceptor.receive()
    hall.wait_and_call(*hall.calls.pop())
    two.other.heartbeat()
    hall.connect(1)
    hall.acceptor.receive()
    assert len(hall.adopted) == 2


def test_worker_that_has_exited_is_not_waited_for(hall: Hall, two: Two) -> None:
    two.other.withdraw()
    hall.connect(3)
    hall.acceptor.receive()
    assert len(hall.adopted) == 3


def test_no_worker_is_woken_when_no_connection_waits(hall: Hall, two: Two) -> None:
    hall.connect(1)
    hall.acceptor.receive()
    hall.acceptor.receive()
    assert not two.has_rung
    assert hall.calls == []
