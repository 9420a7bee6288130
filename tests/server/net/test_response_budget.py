"""What all responses of a worker may hold for slow clients: in memory, in files, and when threads wait instead."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ropewalk.errors import PeerGoneError
from ropewalk.http.response import BY_CLOSE
from ropewalk.net.connection_states import State
from ropewalk.net.response_budget import FAILED_SECONDS, LOG_INTERVAL, UNCOUNTED_OCTETS, ResponseBudget
from ropewalk.net.spill_file import SpillFile
from ropewalk.net.streamed_response import MIN_WAITED_RATE, SCARCE_HIGH_WATER
from tests.helpers.connections import TIMEOUT, ScriptedSocket, Surroundings
from tests.helpers.embedded import Talk, WorkerService
from tests.helpers.http_client import GET, PATIENCE, Client

WaitFor = Callable[[Callable[[], object], str], None]

MIB = 1024 * 1024
LARGE = 8 * MIB  # more than the sockets of a connection to this machine buffer
KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Holding:
    counted_octets = 0


class TestBudget:
    def test_an_object_has_room_up_to_the_limit(self) -> None:
        budget = ResponseBudget(100, 0)
        assert budget.hold_object(bytes(60))
        last = bytes(41)
        assert not budget.hold_object(last)
        assert budget.hold_object(last[1:])
        assert budget.memory_octets == 100

    def test_an_object_that_many_hold_counts_once(self) -> None:
        budget = ResponseBudget(100, 0)
        shared = bytes(60)
        for _ in range(3):
            assert budget.hold_object(shared)
        assert budget.memory_octets == 60
        for _ in range(2):
            budget.release_object(shared)
        assert budget.memory_octets == 60
        budget.release_object(shared)
        assert budget.memory_octets == 0

    def test_small_parts_have_room_up_to_the_limit(self) -> None:
        budget = ResponseBudget(100, 0)
        first, second = Holding(), Holding()
        assert budget.hold(first, UNCOUNTED_OCTETS)
        assert budget.memory_octets == 0
        assert budget.hold(first, UNCOUNTED_OCTETS + 60)
        assert not budget.hold(second, UNCOUNTED_OCTETS + 41)
        assert budget.hold(second, UNCOUNTED_OCTETS + 40)
        assert budget.memory_octets == 100
        for holder in (first, second):
            budget.hold(holder, 0)
        assert budget.memory_octets == 0

    @pytest.mark.parametrize(("octets", "has_room"), [(30, True), (31, False)])
    def test_memory_and_files_share_a_limit(self, octets: int, has_room: bool) -> None:
        budget = ResponseBudget(100, 100)
        budget.hold_object(bytes(20))
        budget.add_file_octets(50)
        assert budget.has_room(octets) is has_room

    def test_without_a_limit_there_is_always_room(self) -> None:
        budget = ResponseBudget(100, 0)
        budget.add_file_octets(1 << 50)
        assert budget.has_room(1 << 50)

    def test_after_a_failure_there_is_no_room_for_a_while(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        now = 1000.0
        monkeypatch.setattr("ropewalk.net.response_budget.monotonic", lambda: now)
        budget = ResponseBudget(100, 0)
        for _ in range(3):
            budget.on_file_failed(OSError(errno.ENOSPC, "No space left on device"))
        assert not budget.has_room()
        now += FAILED_SECONDS
        assert budget.has_room()
        assert capfd.readouterr().err.count("No space left on device") == 1

    def test_the_first_wait_of_a_minute_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        now = 1000.0
        monkeypatch.setattr("ropewalk.net.response_budget.monotonic", lambda: now)
        budget = ResponseBudget(100, 2 * MIB)
        budget.begin_wait()  # for its own peer alone
        budget.add_file_octets(2 * MIB)
        for wait in (0.0, 1.0, LOG_INTERVAL):
            now += wait
            budget.begin_wait()
        assert budget.waiting_threads == 4
        assert capfd.readouterr().err.count("not taken 2 MiB of their responses") == 2


# In a server


def serve(talk: Talk, content: Callable[[], Any], **settings: Any) -> WorkerService:
    """A server whose responses are large, except for /hello."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        parts = [b"hello"] if environ["PATH_INFO"] == "/hello" else content()
        length = [("Content-Length", str(len(parts[0])))] if isinstance(parts, list) else []
        start_response("200 OK", length)
        return parts

    return talk.serve_as_worker(application, **{"response_memory": "1M", "threads": 2} | settings)


def slow(talk: Talk, server: WorkerService) -> Client:
    """A client that has asked for the large response, and reads nothing of it yet."""
    client = Client.__new__(Client)
    client.sock, client.received = socket.socket(), b""
    talk.keep(client)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.sock.settimeout(PATIENCE)
    client.sock.connect(server.address)
    client.send(KEEP)
    return client


def say_hello(talk: Talk, server: WorkerService) -> None:
    client = talk.connect(server)
    client.send(GET.replace(b"/", b"/hello", 1))
    assert client.read_all().endswith(b"\r\n\r\nhello")


def gauges(server: WorkerService) -> tuple[int, int, int]:
    """Octets in memory, octets in files, threads that wait."""
    found = server.service.snapshot()["gauges"]
    buffered = found["buffered_bytes"]
    return buffered["responses_in_memory"], buffered["responses_in_files"], found["waiting_for_clients"]


def test_a_response_that_memory_has_room_for_stays_there(talk: Talk, wait_for: WaitFor) -> None:
    content = os.urandom(LARGE)
    server = serve(talk, lambda: [content[:]], response_memory="8M")
    client = slow(talk, server)
    wait_for(lambda: gauges(server) == (LARGE, 0, 0), "the response")
    assert client.read_response()[1] == content
    wait_for(lambda: gauges(server) == (0, 0, 0), "the end of the response")


def test_a_larger_one_goes_to_a_file(talk: Talk, wait_for: WaitFor) -> None:
    content = os.urandom(LARGE)
    server = serve(talk, lambda: [bytes(bytearray(content))])
    client = slow(talk, server)
    wait_for(lambda: gauges(server)[1] > LARGE // 4, "the response")
    assert gauges(server)[0] == 0
    assert client.read_response()[1] == content
    wait_for(lambda: gauges(server) == (0, 0, 0), "the end of the response")


def test_what_the_application_keeps_is_not_copied(talk: Talk, wait_for: WaitFor) -> None:
    content = os.urandom(LARGE)
    server = serve(talk, lambda: [content], response_memory="8M")
    clients = [slow(talk, server) for _ in range(5)]
    wait_for(lambda: server.service.snapshot()["gauges"]["connections"] == {"sending": 5}, "the responses")
    assert gauges(server) == (LARGE, 0, 0)
    for client in clients:
        assert client.read_response()[1] == content


def test_a_client_that_leaves_gives_its_room_back(talk: Talk, wait_for: WaitFor) -> None:
    server = serve(talk, lambda: [os.urandom(LARGE)])
    client = slow(talk, server)
    wait_for(lambda: gauges(server)[1] > 0, "the response")
    client.sock.close()
    wait_for(lambda: gauges(server) == (0, 0, 0), "the end of the connection")


@pytest.mark.parametrize("is_list", [True, False])
def test_without_room_the_thread_waits(
    talk: Talk, wait_for: WaitFor, capfd: pytest.CaptureFixture[str], is_list: bool
) -> None:
    content = os.urandom(LARGE)
    server = serve(talk, lambda: [content] if is_list else iter([content]), limit_buffered_responses="1M", threads=3)
    others = server.service._config.response_budget  # of other clients, all of it
    others.add_file_octets(MIB)
    clients = [slow(talk, server) for _ in range(2)]
    wait_for(lambda: gauges(server)[2] == 2, "the waits")
    assert gauges(server)[:2] == (0, MIB)
    say_hello(talk, server)
    for client in clients:
        if is_list:
            assert client.read_response()[1] == content
        else:
            head = client.read_until(b"\r\n\r\n")
            assert b"chunked" in head
            assert client.read_until(b"\r\n0\r\n\r\n").partition(b"\r\n")[2][:-7] == content
    wait_for(lambda: gauges(server) == (0, MIB, 0), "the end of the waits")
    others.add_file_octets(-MIB)
    assert "a thread that responds to one now waits for it" in capfd.readouterr().err


def test_a_full_disk_cuts_no_response(
    talk: Talk, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(self: SpillFile, content: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpillFile, "append", fail)
    content = os.urandom(LARGE)
    server = serve(talk, lambda: [bytes(bytearray(content))])
    client = slow(talk, server)
    wait_for(lambda: gauges(server)[:2] == (LARGE, 0), "the response")
    second = slow(talk, server)
    wait_for(lambda: gauges(server)[2] == 1, "the wait for the second client")
    say_hello(talk, server)
    for each in (client, second):
        assert each.read_response()[1] == content
    wait_for(lambda: gauges(server) == (0, 0, 0), "the end of the responses")
    assert "No space left on device" in capfd.readouterr().err


# A thread that waits


class Room:
    """In place of the condition: each wait calls the next function."""

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = list(steps)

    def wait(self, timeout: float) -> None:
        self._steps.pop(0)()

    def notify_all(self) -> None: ...


@pytest.mark.parametrize("missing", [0, 1])
def test_a_peer_has_to_read_at_a_rate_while_a_thread_waits(monkeypatch: pytest.MonkeyPatch, missing: int) -> None:
    now = 1000.0
    monkeypatch.setattr("ropewalk.net.streamed_response.monotonic", lambda: now)
    surroundings = Surroundings()
    surroundings.response_budget = ResponseBudget(MIB, 1)
    connection = surroundings.connection(ScriptedSocket(KEEP, [None, None, None]))
    assert connection.receive()
    response = connection.stream_response(BY_CLOSE, None)

    def take() -> None:
        nonlocal now
        now += TIMEOUT
        connection.sent_octets += int(MIN_WAITED_RATE * TIMEOUT) - missing

    def take_rest() -> None:
        response.write_buffer.close()

    surroundings.response_budget.add_file_octets(1)
    response._room = Room(take, take_rest)
    if missing:
        with pytest.raises(PeerGoneError):
            response.write(bytes(SCARCE_HIGH_WATER + 1))
        assert connection.state is State.CLOSED
    else:
        response.write(bytes(SCARCE_HIGH_WATER + 1))
        assert connection.state is State.STALLED
    assert surroundings.response_budget.waiting_threads == 0
    connection.close()


@pytest.mark.parametrize(("octets", "waits"), [(SCARCE_HIGH_WATER, False), (SCARCE_HIGH_WATER + 1, True)])
def test_a_thread_waits_past_a_size(octets: int, waits: bool) -> None:
    surroundings = Surroundings()
    surroundings.response_budget = ResponseBudget(MIB, 1)
    surroundings.response_budget.add_file_octets(1)
    connection = surroundings.connection(ScriptedSocket(KEEP, [None, None, None]))
    assert connection.receive()
    response = connection.stream_response(BY_CLOSE, None)
    waited: list[int] = []

    def take_all() -> None:
        waited.append(surroundings.response_budget.waiting_threads)
        response.write_buffer.close()

    response._room = Room(take_all)
    response.write(bytes(octets))
    assert waited == [1] * waits
    connection.close()


def test_a_thread_goes_on_once_others_leave_room(wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.net.streamed_response.RECHECK_SECONDS", 0.01)
    surroundings = Surroundings()
    budget = surroundings.response_budget = ResponseBudget(MIB, MIB)
    budget.add_file_octets(MIB)
    connection = surroundings.connection(ScriptedSocket(KEEP, [None, None, None]))
    assert connection.receive()
    response = connection.stream_response(BY_CLOSE, None)
    writer = threading.Thread(target=response.write, args=(bytes(100_000),))
    writer.start()
    wait_for(lambda: budget.waiting_threads == 1, "the writer")
    budget.add_file_octets(-MIB)
    writer.join(PATIENCE)
    assert not writer.is_alive()
    assert budget.memory_octets == 100_000
    connection.close()
    assert budget.memory_octets == 0
