"""The search path and the variables of a process, which one set of settings leaves to the next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ropewalk.process.system.directory import Directory
from ropewalk.runtime.environment import ProcessEnvironment, use_path_of


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/one", "/two", "/three"])
    monkeypatch.setenv("ROPEWALK_TEST_A", "before")
    monkeypatch.delenv("ROPEWALK_TEST_B", raising=False)


def test_directories_come_first_and_in_their_order() -> None:
    ProcessEnvironment().apply(["/new", "/two", "/new"], [])
    assert sys.path == ["/new", "/two", "/one", "/three"]


def test_relative_directories_are_made_absolute() -> None:
    ProcessEnvironment().apply(["library"], [])
    assert sys.path[0] == os.path.join(os.getcwd(), "library")


def test_the_next_settings_replace_those_before() -> None:
    environment = ProcessEnvironment()
    environment.apply(["/new", "/two"], ["ROPEWALK_TEST_A=1", "ROPEWALK_TEST_B=a=b", "ROPEWALK_TEST_A=2"])
    assert (os.environ["ROPEWALK_TEST_A"], os.environ["ROPEWALK_TEST_B"]) == ("2", "a=b")
    environment.apply(["/newer"], [])
    assert sys.path == ["/newer", "/one", "/three", "/two"]
    assert os.environ["ROPEWALK_TEST_A"] == "before"
    assert "ROPEWALK_TEST_B" not in os.environ


def test_what_the_application_removed_is_not_missed() -> None:
    environment = ProcessEnvironment()
    environment.apply(["/new"], ["ROPEWALK_TEST_B=1"])
    sys.path.remove("/new")
    del os.environ["ROPEWALK_TEST_B"]
    environment.restore()
    assert sys.path == ["/one", "/two", "/three"]
    assert "ROPEWALK_TEST_B" not in os.environ


def test_a_directory_is_in_the_search_path_once_although_a_link_leads_there(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to("one")
    sys.path[:] = ["", str(tmp_path / "link"), "/two"]
    environment = ProcessEnvironment()
    environment.apply([str(tmp_path / "one")], [])
    assert sys.path == [str(tmp_path / "one"), "", "/two"]
    environment.restore()
    assert sys.path == ["", "/two", str(tmp_path / "link")]


def test_the_search_path_names_the_start_directory_by_its_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sys.path[:] = ["", str(tmp_path), f"{tmp_path}/src", "/two"]
    use_path_of(Directory("/srv/current", "the start directory", "/srv/current"))
    assert sys.path == ["", "/srv/current", "/srv/current/src", "/two"]
