"""Lines that several processes write stay whole, and nobody waits for who does not read them."""

from __future__ import annotations

import os
import resource
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from ropewalk.logs import sink as module
from ropewalk.logs.sink import Sink

WRITER = """\
import os, sys
from ropewalk.logs import sink as module
from ropewalk.logs.sink import Sink
module.WRITE_TIMEOUT = 60.0  # a busy machine is not a reader that is gone
letter, size, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sink = Sink(int(sys.argv[1]))
line = (letter * size + "\\n").encode()
for number in range(count):
    written = sink.write(line)
    assert written == len(line), sink.fault
"""

WRITERS, LINES, LONG = 4, 40, 9000


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading_end, writing_end = os.pipe()
    try:
        yield reading_end, writing_end
    finally:
        os.close(reading_end)
        os.close(writing_end)


def write_from_processes(descriptor: int, size: int) -> list[subprocess.Popen[bytes]]:
    return [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(descriptor), "abcd"[number], str(size + number), str(LINES)],
            pass_fds=[descriptor],
        )
        for number in range(WRITERS)
    ]


def read_lines(descriptor: int, count: int) -> list[bytes]:
    octets = b""
    while octets.count(b"\n") < count:
        assert select.select([descriptor], [], [], 90)[0], "no more lines come"
        octets += os.read(descriptor, 65536)
    return octets.splitlines()


def assert_whole(lines: list[bytes], size: int) -> None:
    assert len(lines) == WRITERS * LINES
    expected = {letter.encode() * (size + number) for number, letter in enumerate("abcd"[:WRITERS])}
    assert set(lines) == expected
    assert all(lines.count(line) == LINES for line in expected)


@pytest.mark.parametrize("size", [100, LONG])
def test_lines_of_several_processes_in_a_pipe_are_whole(size: int) -> None:
    with pipe() as (reading_end, writing_end):
        writers = write_from_processes(writing_end, size)
        lines = read_lines(reading_end, WRITERS * LINES)
        assert [writer.wait(90) for writer in writers] == [0] * WRITERS
    assert_whole(lines, size)


def test_lines_of_several_processes_in_a_socket_are_whole() -> None:
    reading_end, writing_end = socket.socketpair()
    with reading_end, writing_end:
        writers = write_from_processes(writing_end.fileno(), LONG)
        lines = read_lines(reading_end.fileno(), WRITERS * LINES)
        assert [writer.wait(90) for writer in writers] == [0] * WRITERS
    assert_whole(lines, LONG)


def test_lines_of_several_processes_in_a_file_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    assert [writer.wait(90) for writer in write_from_processes(descriptor, LONG)] == [0] * WRITERS
    os.close(descriptor)
    assert_whole(path.read_bytes().splitlines(), LONG)


@pytest.mark.parametrize("logs", [1, 2], ids=["one log", "two logs"])
def test_lines_of_several_threads_in_a_pipe_are_whole(logs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 60.0)
    with pipe() as (reading_end, writing_end):
        sinks = [Sink(writing_end) for _ in range(logs)]  # two: as standard output and standard error often are
        threads = [
            threading.Thread(
                target=lambda sink, line: [sink.write(line) for _ in range(LINES)], args=(sink, letter * LONG + b"\n")
            )
            for sink, letter in ((sinks[0], b"a"), (sinks[-1], b"b"))
        ]
        for thread in threads:
            thread.start()
        lines = read_lines(reading_end, 2 * LINES)
        for thread in threads:
            thread.join()
    assert sorted(lines) == [b"a" * LONG] * LINES + [b"b" * LONG] * LINES


def test_a_pipe_that_nobody_reads_holds_nobody_for_long() -> None:
    with pipe() as (reading_end, writing_end):
        sink = Sink(writing_end)
        line = b"x" * 1000 + b"\n"
        written = 0
        while sink.write(line) == len(line):
            written += len(line)
        assert sink.fault == "the reader has stopped"
        began, failed = monotonic(), 0
        while failed < 1000:
            failed += sink.write(line) == 0
        assert monotonic() - began < 1000 * module.WRITE_TIMEOUT  # it is waited for once, not each time
        octets = b""
        while len(octets) < written:
            octets += os.read(reading_end, 65536)
        assert sink.write(b"after\n") == 6
        octets += os.read(reading_end, 65536)
        lines = octets.splitlines(keepends=True)
        assert lines[-1] == b"after\n"
        assert all(each == line for each in lines[:-2])  # one may have been cut, and then ends where it was


def test_a_pipe_that_is_set_not_to_block_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 60.0)
    with pipe() as (reading_end, writing_end):
        os.set_blocking(writing_end, False)
        sink = Sink(writing_end)
        line = b"x" * 200_000 + b"\n"
        written: list[int] = []
        writer = threading.Thread(target=lambda: written.append(sink.write(line)))
        writer.start()
        lines = read_lines(reading_end, 1)
        writer.join()
        assert written == [len(line)]
        assert lines == [line[:-1]]


def test_a_pipe_whose_reader_is_gone_costs_the_line_alone() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    sink = Sink(writing_end)
    assert sink.write(b"x\n") == 0
    assert sink.fault == "Broken pipe"
    os.close(writing_end)
    assert sink.write(b"x\n") == 0
    assert sink.fault == "Bad file descriptor"


FILL = """\
import os, resource, sys
from ropewalk.logs.sink import Sink
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
sink = Sink(os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
print(sink.write(b"one\\ntwo\\nthree\\n"), sink.fault)
print(sink.write(b"four\\n"), sink.fault)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
print(sink.write(b"five\\n"))
print(sink.write(b"six\\n"))
"""


def test_a_line_that_was_cut_by_a_full_disk_does_not_spoil_the_next(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    path = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["10 File too large", "0 File too large", "5", "4"], done.stderr
    assert path.read_text() == "one\ntwo\nth\nfive\nsix\n"
