from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.net.write_buffer import MAX_FLUSH, MAX_MEMORY, MAX_PARTS, WriteBuffer


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.settimeout(20)
        yield here, there


@pytest.fixture
def buffer() -> Iterator[WriteBuffer]:
    buffer = WriteBuffer()
    yield buffer
    buffer.close()


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
    assert buffer.octets == sum(map(len, parts))
    assert send_all(buffer, *pair) == b"".join(parts)


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

    buffer.append(b"x" * (3 * MAX_FLUSH))  # the first part always stays in memory
    swift = Swift(MAX_FLUSH // 4)
    for left in (2, 1, 0):
        assert buffer.flush(swift) == MAX_FLUSH  # type: ignore[arg-type]
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
