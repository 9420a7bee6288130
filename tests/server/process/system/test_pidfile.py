from __future__ import annotations

import os
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.process.system.pidfile import PidFile


def test_file_holds_the_process_id_until_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    pid_file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove()
    assert not path.exists()


def test_stale_file_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    path.write_text("1\n      ")  # process 1 is always alive: a number proves nothing
    pid_file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove()


def test_file_of_a_running_process_is_refused_with_its_pid(tmp_path: Path) -> None:
    path = str(tmp_path / "server.pid")
    pid_file = PidFile(path)
    with pytest.raises(ConfigError, match=f"is held by a running server, process {os.getpid()}"):
        PidFile(path)
    pid_file.remove()


def test_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--pid=.*cannot be written: No such file or directory"):
        PidFile(str(tmp_path / "missing" / "server.pid"))


def test_file_that_another_server_put_in_its_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "server.pid"
    pid_file = PidFile(str(path))
    path.unlink()
    path.write_text("another\n")
    pid_file.remove()
    assert path.read_text() == "another\n"


def test_lock_ends_with_its_owner_even_if_a_child_lives(tmp_path: Path) -> None:
    path = str(tmp_path / "server.pid")
    pid_file = PidFile(path)
    reading_end, writing_end = os.pipe()
    child = os.fork()
    if not child:
        pid_file.close_in_child()
        os.close(writing_end)
        os.read(reading_end, 1)
        os._exit(0)
    pid_file.remove()
    PidFile(path).remove()
    os.close(writing_end)
    os.close(reading_end)
    assert os.waitpid(child, 0)[1] == 0
