from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.logs import access_log
from ropewalk.logs.access_log import AccessLog
from ropewalk.logs.access_record import AccessRecord

WaitFor = Callable[[Callable[[], object], str], None]


def record(number: int) -> AccessRecord:
    return AccessRecord({"PATH_INFO": f"/{number}"}, "200 OK", [], 0, 0.0, True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access_log.log"


@pytest.fixture
def log(path: Path) -> Iterator[AccessLog]:
    log = AccessLog(str(path), "%(U)s")
    yield log
    log.close()


def test_a_line_arrives_without_anybody_asking(log: AccessLog, path: Path, wait_for: WaitFor) -> None:
    log.write(record(1))
    wait_for(lambda: path.read_text() == "/1\n", "the line")
    log.write(record(2))
    wait_for(lambda: path.read_text() == "/1\n/2\n", "the next line")


def test_flush_writes_at_once_and_close_writes_the_rest(path: Path) -> None:
    log = AccessLog(str(path), "%(U)s")
    log.write(record(1))
    log.flush()
    assert path.read_text() == "/1\n"
    log.write(record(2))
    log.close()
    assert path.read_text() == "/1\n/2\n"


def test_lines_of_many_threads_are_whole_and_all_there(log: AccessLog, path: Path) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 1000):
            log.write(record(number))

    threads = [threading.Thread(target=write, args=(1000 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    assert sorted(int(line[1:]) for line in path.read_text().splitlines()) == list(range(4000))


def test_a_file_that_was_moved_away_is_made_again(log: AccessLog, path: Path) -> None:
    log.write(record(1))
    log.flush()
    path.rename(path.with_suffix(".1"))
    log.write(record(2))
    log.reopen()
    log.write(record(3))
    log.flush()
    assert path.with_suffix(".1").read_text() == "/1\n/2\n"
    assert path.read_text() == "/3\n"


def test_a_pipe_that_nobody_reads_costs_lines_and_they_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(access_log, "MAX_BUFFERED_LINES", 10)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(fifo), "%(U)s")
    with log._writing:  # what a writer in a full pipe holds
        flusher = threading.Thread(target=lambda: [log.write(record(number)) for number in range(1, 13)])
        log._flusher = flusher
        flusher.start()
        flusher.join()
    log.flush()
    assert os.read(reader, 4096).decode().split() == [f"/{number}" for number in range(1, 11)]
    assert "2 access log lines were lost\n" in capfd.readouterr().err
    log.close()
    os.close(reader)


def test_a_thread_that_serves_never_writes_to_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "LINES_PER_WRITE", 1)
    monkeypatch.setattr(access_log, "FLUSH_SECONDS", 3600)  # the log's own thread has not come round
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(fifo), "%(U)s")
    log.write(record(1))
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    log.close()
    assert os.read(reader, 100) == b"/1\n"
    os.close(reader)


def test_a_full_disk_costs_lines_that_are_counted_and_reported_afterwards(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.symlink_to("/dev/full")
    log = AccessLog(str(path), "%(U)s")
    for number in range(1, 4):
        log.write(record(number))
        log.flush()
    assert log.lost == 3
    assert capfd.readouterr().err.count("cannot write the access log: No space left on device\n") == 1
    path.unlink()
    log.reopen()
    log.write(record(4))
    log.flush()
    assert path.read_text() == "/4\n"
    assert "3 access log lines were lost\n" in capfd.readouterr().err
    log.close()


def test_lost_lines_are_reported_at_the_end_at_the_latest(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("/dev/full", "%(U)s")
    log.write(record(1))
    log.close()
    assert "1 access log line was lost\n" in capfd.readouterr().err


def test_a_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--access-logfile=.*: cannot be opened: No such file or directory"):
        AccessLog(str(tmp_path / "missing" / "access_log.log"), "%(h)s")


def test_standard_output_is_a_dash(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-", "%(U)s")
    log.write(record(1))
    log.close()
    assert capfd.readouterr().out == "/1\n"
