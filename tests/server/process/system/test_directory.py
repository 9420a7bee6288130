"""Directories that are entered by their path, with links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.process.system.directory import Directory, is_removed, start_directory


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A link to the current directory."""
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to("one")
    monkeypatch.chdir(tmp_path / "one")
    return tmp_path / "link"


def test_the_start_directory_has_the_path_of_the_shell(link: Path) -> None:
    assert start_directory({"PWD": str(link)}).path == str(link)


@pytest.mark.parametrize("pwd", [None, "", "link", "/", "/gone/from/here", "/a\0b"])
def test_a_path_that_does_not_name_the_start_directory_is_not_used(link: Path, pwd: str | None) -> None:
    environ = {} if pwd is None else {"PWD": pwd}
    assert start_directory(environ).path == str(link.parent / "one")


def test_a_directory_is_left_for_one_that_was_removed(link: Path) -> None:
    shutil.rmtree(link.parent / "one")
    assert is_removed()
    with Directory(str(link.parent), "--chdir", "").entered():
        assert os.getcwd() == str(link.parent)
        assert not is_removed()
    assert is_removed()


def test_one_that_cannot_be_entered_is_named_as_it_was_written(link: Path) -> None:
    directory = Directory(str(link), "the start directory", "").joined("--chdir", "gone")
    with pytest.raises(ConfigError) as caught:
        directory.enter()
    assert str(caught.value) == "--chdir='gone': no such file or directory"
    with pytest.raises(ConfigError), directory.entered():
        pass
    assert os.getcwd() == str(link.parent / "one")


def test_without_a_relative_path_it_stays_the_same(link: Path) -> None:
    start = Directory(str(link), "the start directory", "")
    assert start.joined("--chdir", "") is start
    assert start.joined("--chdir", "/elsewhere").path == "/elsewhere"


@pytest.mark.parametrize(
    ("path", "rebased"),
    [
        ("/srv/releases/1", "/srv/current"),
        ("/srv/releases/1/venv/bin/python", "/srv/current/venv/bin/python"),
        ("/srv/releases/10", "/srv/releases/10"),
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("ropewalk", "ropewalk"),
    ],
)
def test_what_is_inside_is_named_by_the_path_of_the_directory(path: str, rebased: str) -> None:
    assert Directory("/srv/current", "", "").rebase(path, "/srv/releases/1") == rebased


def test_nothing_changes_at_the_root() -> None:
    assert Directory("/", "", "").rebase("/usr/bin/python3", "/") == "/usr/bin/python3"
