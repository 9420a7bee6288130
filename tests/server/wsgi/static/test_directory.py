"""No path of a peer's leads out of the directory. The files are real, and outside lies a secret."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.wsgi.static import directory as directory_module
from ropewalk.wsgi.static.directory import Directory

SECRET = b"secret"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with every kind of entry, beside files that must stay private."""
    base = tmp_path_factory.mktemp("tree")
    (base / "secret.txt").write_bytes(SECRET)
    (base / "public-but-longer").mkdir()
    (base / "public-but-longer" / "secret.txt").write_bytes(SECRET)
    root = base / "public"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a")
    (root / "sub" / "b.txt").write_bytes(b"b")
    (root / "sub" / "deep" / "c\\d e%2e.txt").write_bytes(b"c")
    (root / ".env").write_bytes(SECRET)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(SECRET)
    (root / "link-inside.txt").symlink_to("sub/b.txt")
    (root / "link-out.txt").symlink_to("../secret.txt")
    (root / "link-out-absolute.txt").symlink_to(base / "secret.txt")
    (root / "link-out-dir").symlink_to("..")
    (root / "link-longer").symlink_to("../public-but-longer")
    (root / "link-loop").symlink_to("link-loop")
    (root / "link-nowhere").symlink_to("nothing")
    (root / "sub" / "link-root").symlink_to(root)
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture
def unix_socket(root: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        yield "socket"
    (root / "socket").unlink()


def read(directory: Directory, path: bytes) -> bytes | None:
    file = directory.open(path)
    if file is None:
        return None
    try:
        content = os.read(file.descriptor, 1000)
        assert file.size == len(content)
        return content
    finally:
        file.close()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (b"a.txt", b"a"),
        (b"sub/b.txt", b"b"),
        (b"sub/deep/c\\d e%2e.txt", b"c"),
        (b"link-inside.txt", b"b"),
        (b"sub/link-root/a.txt", b"a"),
    ],
)
def test_file_inside_is_opened(root: Path, path: bytes, content: bytes) -> None:
    assert read(Directory(str(root)), path) == content
    assert Directory(str(root)).has(path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"nothing",
        b"a.txt/",
        b"a.txt/x",
        b"sub",
        b"sub/",
        b"sub//b.txt",
        b"./a.txt",
        b"sub/./b.txt",
        b"sub/../a.txt",
        b"../secret.txt",
        b"../public/a.txt",
        b"../public-but-longer/secret.txt",
        b"/etc/passwd",
        b"//etc/passwd",
        b"sub/../../secret.txt",
        b"sub/link-root/../../secret.txt",
        b".env",
        b".git/config",
        b"sub/link-root/.env",
        b"a.txt\0",
        b"a.txt\0.html",
        b"link-out.txt",
        b"link-out-absolute.txt",
        b"link-out-dir/secret.txt",
        b"link-out-dir/public/link-out-dir/secret.txt",
        b"link-longer/secret.txt",
        b"link-loop",
        b"link-nowhere",
        b"fifo",
        b"x" * 256,
        b"x/" * 5000 + b"x",
        b"\xff\xfe",
    ],
)
def test_everything_else_is_not_there(root: Path, path: bytes) -> None:
    assert Directory(str(root)).open(path) is None


def test_unix_socket_is_not_a_file(root: Path, unix_socket: str) -> None:
    assert Directory(str(root)).open(unix_socket.encode()) is None


_SEGMENTS = st.sampled_from(
    [
        b"",
        b".",
        b"..",
        b"...",
        b"sub",
        b"deep",
        b"link-out-dir",
        b"link-longer",
        b"link-root",
        b"link-out.txt",
        b"public",
        b"secret.txt",
        b".env",
        b".git",
        b"config",
        b"a.txt",
        b"b.txt",
        b"%2e%2e",
        b"..\\..",
        b"\0",
        b"~",
        b"proc",
        b"self",
        b"etc",
        b"passwd",
    ]
)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_SEGMENTS | st.binary(max_size=4), max_size=10).map(b"/".join))
def test_no_path_leads_outside(root: Path, path: bytes) -> None:
    assert read(Directory(str(root)), path) in (None, b"a", b"b", b"c")


def test_link_that_is_turned_between_check_and_use_leads_nowhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever wins the race, what is judged is the file that was opened."""
    (tmp_path / "good.txt").write_bytes(b"good")
    link = tmp_path / "link.txt"
    link.symlink_to("good.txt")
    directory = Directory(str(tmp_path))
    assert read(directory, b"link.txt") == b"good"
    real_open = os.open

    def open_and_turn(path: bytes, flags: int) -> int:
        link.unlink()
        link.symlink_to(root.parent / "secret.txt")
        descriptor = real_open(path, flags)
        link.unlink()
        link.symlink_to("good.txt")
        return descriptor

    monkeypatch.setattr(os, "open", open_and_turn)
    assert directory.open(b"link.txt") is None


def test_file_that_is_replaced_while_it_is_open_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    directory = Directory(str(tmp_path))
    real_open = os.open

    def open_and_remove(path: bytes, flags: int) -> int:
        descriptor = real_open(path, flags)
        os.unlink(path)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_remove)
    assert read(directory, b"a.txt") == b"old"


def test_directory_that_is_a_link_follows_the_link(tmp_path: Path) -> None:
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "a.txt").write_text(release)
    current = tmp_path / "current"
    current.symlink_to("1")
    directory = Directory(str(current))
    assert read(directory, b"a.txt") == b"1"
    current.unlink()
    current.symlink_to("2")
    assert read(directory, b"a.txt") == b"2"


def test_directory_that_was_made_again_is_found(tmp_path: Path) -> None:
    root = tmp_path / "static"
    root.mkdir()
    directory = Directory(str(root))
    root.rename(tmp_path / "old")
    assert directory.open(b"a.txt") is None
    root.mkdir()
    (root / "a.txt").write_bytes(b"new")
    assert read(directory, b"a.txt") == b"new"


def test_relative_directory_is_meant_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"here")
    monkeypatch.chdir(tmp_path)
    directory = Directory(".")
    monkeypatch.chdir("/")
    assert read(directory, b"a.txt") == b"here"


def test_directory_must_be_one(root: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Directory(str(root / "a.txt"))
    with pytest.raises(FileNotFoundError):
        Directory(str(root / "nothing"))


def test_root_of_the_file_system_is_a_directory_like_others() -> None:
    file = Directory("/").open(b"etc/passwd")
    assert file is not None
    file.close()


def test_fault_of_the_machine_is_not_hidden_as_a_missing_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Directory(str(root))
    monkeypatch.setattr(directory_module, "_FLAGS", os.O_RDWR | os.O_DIRECTORY)
    with pytest.raises(IsADirectoryError):
        directory.open(b"sub")


def test_no_descriptor_stays_open(root: Path) -> None:
    directory = Directory(str(root))
    before = sorted(os.listdir("/proc/self/fd"))
    for path in (b"a.txt", b"sub", b"fifo", b"link-out.txt", b"nothing", b"../secret.txt"):
        read(directory, path)
    assert sorted(os.listdir("/proc/self/fd")) == before
