from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.net.response_budget import MIN_OBJECT, ResponseBudget
from ropewalk.net.spill_file import MAX_OCTETS, SpillFile
from ropewalk.net.write_buffer import MAX_FLUSH, MAX_MEMORY, MAX_PARTS, MAX_RECORD, WriteBuffer


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.settimeout(20)
        yield here, there


@pytest.fixture
def buffer() -> Iterator[WriteBuffer]:
    buffer = WriteBuffer(ResponseBudget(1 << 30, 0))
    yield buffer
    buffer.close()


class Taking:
    """A socket that takes so many octets at each call (None: it is full), then everything.

    As TLS, it insists after a full socket on the octets that it has encrypted already: a record of them.
    """

    def __init__(self, takes: list[int | None]) -> None:
        self._takes = takes
        self._encrypted = b""
        self.taken = b""

    def send(self, octets: bytes | memoryview) -> int:
        assert bytes(octets[: len(self._encrypted)]) == self._encrypted
        self._encrypted = b""
        count = self._takes.pop(0) if self._takes else len(octets)
        if count is None:
            self._encrypted = bytes(octets[:MAX_RECORD])
            raise BlockingIOError
        self.taken += bytes(octets[:count])
        return min(count, len(octets))

    def sendmsg(self, parts: list[memoryview]) -> int:
        return self.send(b"".join(parts))

    def send_file(self, fd: int, offset: int, count: int) -> int:
        return self.send(os.pread(fd, count, offset))


def no_space(self: SpillFile, content: memoryview) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def send_all(buffer: WriteBuffer, here: socket.socket, there: socket.socket) -> bytes:
    """Flush until nothing is left, reading at the other end."""
    received = b""
    sent = 0
    while buffer.octets:
        sent += buffer.flush(here)
        while len(received) < sent:
            received += there.recv(1 << 20)
    assert sent == len(received)
    return received


def test_parts_go_out_in_order(buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket]) -> None:
    for part in (b"one", b"", b"two", b"three"):
        buffer.append(part)
    assert buffer.octets == 11
    assert send_all(buffer, *pair) == b"onetwothree"


def test_more_parts_than_one_call_takes(buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket]) -> None:
    parts = [b"%05d" % number for number in range(3 * MAX_PARTS + 1)]
    for part in parts:
        buffer.append(part)
    assert send_all(buffer, *pair) == b"".join(parts)


def test_a_full_socket_keeps_the_rest(buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket]) -> None:
    content = os.urandom(3_000_000)
    buffer.append(content)
    first = buffer.flush(pair[0])
    assert 0 < first < len(content)
    assert buffer.octets == len(content) - first
    assert buffer.flush(pair[0]) == 0
    received = b""
    while len(received) < first:
        received += pair[1].recv(1 << 20)
    assert received + send_all(buffer, *pair) == content


def test_past_the_memory_it_goes_to_a_file_in_order(
    buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket]
) -> None:
    parts = [os.urandom(MAX_MEMORY // 3) for _ in range(12)]
    for part in parts:
        buffer.append(part)
        buffer.settle()
    assert buffer.octets == sum(map(len, parts))
    assert send_all(buffer, *pair) == b"".join(parts)


@given(
    steps=st.lists(
        st.integers(1, 300).map(bytes)
        | st.integers(1, MAX_RECORD).map(os.urandom)
        | st.integers(1, 3 * MIN_OBJECT).map(os.urandom)
        | st.sampled_from(["settle", "flush", "the same again", "a file"]),
        max_size=40,
    ),
    takes=st.lists(st.none() | st.integers(1, 5 * MIN_OBJECT), max_size=20),
    max_memory=st.sampled_from([0, MIN_OBJECT, 4 * MIN_OBJECT]),
    fails=st.booleans(),
)
def test_whatever_is_held_in_memory_or_in_files_is_sent_in_order(
    steps: list[bytes | str], takes: list[int | None], max_memory: int, fails: bool
) -> None:
    budget = ResponseBudget(max_memory, 0)
    buffer = WriteBuffer(budget)
    sock = Taking(takes)
    expected = last = b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ropewalk.net.write_buffer.MAX_MEMORY", 3 * MIN_OBJECT)
        patch.setattr("ropewalk.net.spill_file.MAX_OCTETS", 2 * MIN_OBJECT)
        patch.setattr(ResponseBudget, "on_file_failed", lambda self, error: None)
        if fails:
            patch.setattr(SpillFile, "append", no_space)
        for step in steps:
            if step == "settle":
                buffer.settle()
            elif step == "flush":
                buffer.flush(sock)
            elif step == "a file":
                fd = os.memfd_create("file")
                os.write(fd, b"a file")
                buffer.append_file(fd, 2, 4)
                expected += b"file"
            else:
                last = last if isinstance(step, str) else step
                buffer.append(last)
                expected += last
        takes.clear()
        while buffer.octets:
            buffer.flush(sock)
    assert sock.taken == expected
    assert (budget.memory_octets, budget.file_octets, buffer._memory, buffer._small) == (0, 0, 0, 0)
    buffer.close()


@given(st.lists(st.integers(1, 3 * MIN_OBJECT).map(bytes), max_size=10), st.booleans())
def test_closing_gives_everything_back(parts: list[bytes], is_settled: bool) -> None:
    budget = ResponseBudget(2 * MIN_OBJECT, 0)
    buffer = WriteBuffer(budget)
    for part in parts:
        buffer.append(part)
        if is_settled:
            buffer.settle()
    buffer.close()
    assert (budget.memory_octets, budget.file_octets, buffer._memory, buffer._small) == (0, 0, 0, 0)


def test_what_tls_has_encrypted_stays_in_one_call() -> None:
    """OpenSSL refuses a repeated call with fewer octets: a connection whose peer reads slowly would be cut."""
    buffer = WriteBuffer(ResponseBudget(0, 0))
    parts = [os.urandom(MAX_RECORD // 2), os.urandom(MAX_RECORD), os.urandom(MIN_OBJECT)]
    sock = Taking([None])
    for part in parts:
        buffer.append(part)
    assert not buffer.flush(sock)
    buffer.settle()
    assert buffer._budget.file_octets == len(b"".join(parts)) - MAX_RECORD
    while buffer.octets:
        buffer.flush(sock)
    assert sock.taken == b"".join(parts)
    buffer.close()


def test_a_file_of_what_was_sent_is_given_back_before_the_end() -> None:
    budget = ResponseBudget(0, 0)
    buffer = WriteBuffer(budget)
    part = os.urandom(MAX_OCTETS // 2)
    for _ in range(6):
        buffer.append(part)
        buffer.settle()
    assert budget.file_octets == 6 * len(part)
    sock = Taking([])
    while buffer.octets > 2 * len(part):
        buffer.flush(sock)
    assert budget.file_octets == 2 * len(part)
    buffer.close()


def test_a_range_of_a_file_between_memory(
    buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    fd = os.open(path, os.O_RDONLY)
    buffer.append(b"head")
    buffer.append_file(fd, 10, 500_000)
    buffer.append(b"tail")
    assert send_all(buffer, *pair) == b"head" + path.read_bytes()[10:500_010] + b"tail"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_that_became_shorter_is_a_fault(
    buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"short")
    buffer.append_file(os.open(path, os.O_RDONLY), 0, 10)
    with pytest.raises(OSError, match="shorter"):
        send_all(buffer, *pair)


def test_one_flush_is_bounded_however_fast_the_peer_is(buffer: WriteBuffer) -> None:
    class Swift:
        """A socket that always takes more, so much at a time."""

        def __init__(self, takes: int) -> None:
            self.takes = takes

        def send(self, octets: memoryview) -> int:
            return min(self.takes, len(octets))

    buffer.append(b"x" * (3 * MAX_FLUSH))
    swift = Swift(MAX_FLUSH // 4)
    for left in (2, 1, 0):
        assert buffer.flush(swift) == MAX_FLUSH
        assert buffer.octets == left * MAX_FLUSH


def test_a_peer_that_is_gone_is_a_fault(buffer: WriteBuffer, pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    buffer.append(b"anybody?")
    with pytest.raises(BrokenPipeError):
        buffer.flush(pair[0])


def test_closing_closes_the_files_it_owns(buffer: WriteBuffer, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    fd = os.open(path, os.O_RDONLY)
    buffer.append_file(fd, 0, 1)
    buffer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert buffer.octets == 0


def test_a_module_that_cannot_be_loaded_is_as_a_file_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation may be gone since the server was started: a release that was removed."""
    budget = ResponseBudget(0, 0)
    monkeypatch.setitem(sys.modules, "tempfile", None)
    buffer = WriteBuffer(budget)
    buffer.append(bytes(MIN_OBJECT))
    buffer.settle()
    assert (budget.memory_octets, budget.has_room()) == (MIN_OBJECT, False)
    buffer.close()


@given(
    steps=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=9),
            st.just(MIN_OBJECT),  # octets of a large object
            st.sampled_from(["file", "settle", "full"]),
        ),
        max_size=12,
    ),
    cut=st.integers(0, 20),
)
def test_what_was_sent_is_dropped_at_once_or_part_by_part(steps: list[bytes | int | str], cut: int) -> None:
    def state(takes: list[int | None]) -> list[object]:
        budget = ResponseBudget(1 << 30, 0)
        buffer, sock = WriteBuffer(budget), Taking([])
        with open(__file__, "rb") as file:
            for step in steps:
                if isinstance(step, bytes):
                    buffer.append(step)
                elif isinstance(step, int):
                    buffer.append(bytes(step))
                elif step == "file":
                    buffer.append_file(os.dup(file.fileno()), 0, 0 if cut % 2 else 5)
                elif step == "settle":
                    buffer.settle()
                else:
                    buffer.flush(Taking([3, None]))
            sock._takes = takes
            buffer.flush(sock)
            found = [sock.taken, buffer.octets, buffer._new, len(buffer._parts), buffer._memory, budget.memory_octets]
            buffer.append(b"next")
            buffer.settle()
            found += [buffer._memory, budget.memory_octets]
            buffer.close()
            return [*found, buffer._memory, budget.memory_octets, len(os.listdir("/proc/self/fd"))]

    assert state([]) == state([cut] if cut else [])
