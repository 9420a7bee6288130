"""What root opens in a folder of another user's: never a file that this user chose."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import ErrorLog
from ropewalk.net.listeners import unix
from ropewalk.net.listeners.unix import open_unix_listener
from ropewalk.process.system.pidfile import PidFile
from ropewalk.trusted_files import hold_socket, open_file

NOBODY = pwd.getpwnam("nobody").pw_uid
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users'")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is root's alone."""
    path = tmp_path / "secret"
    path.write_text("secret")
    path.chmod(0o600)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the worker's user can do as it likes."""
    path = tmp_path / "folder"
    path.mkdir()
    os.chown(path, NOBODY, -1)
    return path


def symbolic_link(secret: Path, path: Path) -> None:
    path.symlink_to(secret)
    os.chown(path, NOBODY, -1, follow_symlinks=False)


def chain_of_links(secret: Path, path: Path) -> None:
    """Root's own link leads to one of somebody else's."""
    symbolic_link(secret, path.with_name("second"))
    path.symlink_to("second")


def hard_link(secret: Path, path: Path) -> None:
    path.hardlink_to(secret)


def link_to_nothing(secret: Path, path: Path) -> None:
    """Where root would create a file of another user's choosing."""
    path.symlink_to(secret.with_name("new"))
    os.chown(path, NOBODY, -1, follow_symlinks=False)


PLANTED = [symbolic_link, chain_of_links, hard_link, link_to_nothing]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_link_is_refused(folder: Path, secret: Path, plant: Callable[[Path, Path], None]) -> None:
    plant(secret, folder / "file")
    with pytest.raises(OSError, match=r"root does not (follow|write to)"):
        open_file(str(folder / "file"), APPEND, 0o640, {NOBODY})
    assert secret.read_text() == "secret"
    assert not secret.with_name("new").exists()


@pytest.mark.parametrize("plant", PLANTED)
def test_a_pid_file_is_not_written_through_a_planted_link(
    folder: Path, secret: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(secret, folder / "server.pid")
    with pytest.raises(ConfigError, match="root does not"):
        PidFile(str(folder / "server.pid"), {NOBODY})
    assert secret.read_text() == "secret"
    assert not secret.with_name("new").exists()


@pytest.mark.parametrize("plant", PLANTED)
def test_a_log_is_not_written_through_a_planted_link(
    folder: Path, secret: Path, plant: Callable[[Path, Path], None]
) -> None:
    plant(secret, folder / "error.log")
    log = ErrorLog()
    with pytest.raises(ConfigError, match="root does not"):
        log.configure(str(folder / "error.log"), "info", owners={NOBODY})
    assert not secret.with_name("new").exists()


def test_a_log_that_is_replaced_by_a_link_is_not_opened_again(folder: Path, secret: Path) -> None:
    log, path = ErrorLog(), folder / "error.log"
    log.configure(str(path), "info", owners={NOBODY})
    path.rename(folder / "error.log.1")
    symbolic_link(secret, path)
    with pytest.raises(ConfigError, match="root does not follow"):
        log.reopen()
    log.info("written to where it was written before")
    assert secret.read_text() == "secret"
    assert "written before" in (folder / "error.log.1").read_text()
    os.close(log.descriptor)


def test_where_every_user_is_trusted_links_are_followed(folder: Path, secret: Path) -> None:
    symbolic_link(secret, folder / "file")
    os.close(open_file(str(folder / "file"), APPEND, 0o640))


@pytest.mark.parametrize("owners", [{NOBODY}, None])
def test_a_pipe_that_nobody_reads_does_not_stop_the_master(folder: Path, owners: set[int] | None) -> None:
    """The worker's user can put one in place of a log; or the program that reads the log is being restarted."""
    os.mkfifo(folder / "log")
    os.chown(folder / "log", NOBODY, -1)
    writer = open_file(str(folder / "log"), APPEND, 0o640, owners)
    os.write(writer, b"line")
    reader = os.open(folder / "log", os.O_RDONLY)
    assert os.read(reader, 10) == b"line"
    assert not os.get_blocking(writer)
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("owners", [{NOBODY}, None])
@pytest.mark.parametrize("target", ["/dev/stdout", "/proc/self/fd/1", "/proc/PID/fd/1", "/dev/./stdout"])
def test_a_link_of_roots_to_a_standard_stream_is_that_stream(
    tmp_path: Path, target: str, owners: set[int] | None
) -> None:
    """As images of containers have them in place of log files."""
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    try:
        (tmp_path / "log").symlink_to(target.replace("PID", str(os.getpid())))
        opened = open_file(str(tmp_path / "log"), APPEND, 0o640, owners)
    finally:
        os.dup2(saved, 1)
    assert os.path.sameopenfile(opened, writer)
    for descriptor in (reader, writer, saved, opened):
        os.close(descriptor)


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_the_name_of_a_standard_stream_is_that_stream(path: str) -> None:
    """Also where it is a socket, which cannot be opened by any path."""
    reading, writing = socket.socketpair()
    kept = os.dup(1)
    try:
        os.dup2(writing.fileno(), 1)
        descriptor = open_file(path, APPEND, 0o640, {NOBODY})
        os.write(descriptor, b"line")
        os.close(descriptor)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert reading.recv(10) == b"line"
    reading.close()
    writing.close()


def test_links_that_root_made_are_followed(tmp_path: Path, folder: Path) -> None:
    (folder / "second").symlink_to("real")
    (folder / "file").symlink_to(folder / "second")
    os.close(open_file(str(folder / "file"), APPEND, 0o640, {NOBODY}))
    assert stat.S_IMODE((folder / "real").stat().st_mode) == 0o640
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        open_file(str(tmp_path / "loop"), APPEND, 0o640, {NOBODY})


def test_a_file_has_a_trusted_owner(folder: Path) -> None:
    path = folder / "file"
    path.touch()
    os.chown(path, NOBODY, -1)
    os.close(open_file(str(path), APPEND, 0o640, {NOBODY}))
    with pytest.raises(OSError, match=f"belongs to user {NOBODY}"):
        open_file(str(path), APPEND, 0o640, set())


def test_flags_are_kept_and_nothing_is_created_unasked(folder: Path) -> None:
    (folder / "file").write_text("first")
    descriptor = open_file(str(folder / "file"), APPEND, 0o640, {NOBODY})
    os.write(descriptor, b" second")
    os.close(descriptor)
    assert (folder / "file").read_text() == "first second"
    with pytest.raises(FileNotFoundError):
        open_file(str(folder / "other"), os.O_WRONLY, 0o640, {NOBODY})


def test_devices_are_opened() -> None:
    os.close(open_file("/dev/null", APPEND, 0o640, {NOBODY}))


@pytest.mark.parametrize("plant", [symbolic_link, hard_link])
def test_a_socket_swapped_after_bind_keeps_its_mode(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Path, Path], None]
) -> None:
    """Between bind(2) and chmod(2) the folder's owner puts another server's socket in the place of ours."""
    with socket.socket(socket.AF_UNIX) as other:
        target = folder.with_name("other.sock")
        other.bind(str(target))
        target.chmod(0o600)

        def swap_first(path: str) -> int:
            os.unlink(path)
            plant(target, Path(path))
            return hold_socket(path)

        monkeypatch.setattr(unix, "hold_socket", swap_first)
        with pytest.raises(OSError, match="was replaced"):
            open_unix_listener(str(folder / "shop.sock"), backlog=1, mode=0o666)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
