"""Modules of the project in a configuration file: found, and imported again by a reload."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.config.load import Loaded, load_settings
from ropewalk.errors import ConfigError


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No byte code, since sources change within a second; and no module of a test remains."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        if name.startswith("shop_"):
            del sys.modules[name]


def write(directory: Path, **files: str) -> None:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / f"{name}.py").write_text(content)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(tmp_path / "shop_project", __init__="", conf="THREADS = 3\n")
    write(tmp_path, conf="from shop_project.conf import THREADS\nthreads = THREADS\n")
    return tmp_path


def load(project: Path, *arguments: str) -> Loaded:
    importlib.invalidate_caches()
    return load_settings(["-c", str(project / "conf.py"), *arguments], {})


def test_the_folder_of_the_file_is_searched(project: Path) -> None:
    path = sys.path[:]
    loaded = load(project)
    assert loaded.settings.threads == 3
    assert loaded.warnings == ()
    assert sys.path == path


def test_so_are_the_search_path_and_the_directory_of_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "etc", conf="import shop_a, shop_b\nthreads = shop_a.N + shop_b.N\n", shop_a="N = 100\n")
    write(tmp_path / "src")
    write(tmp_path / "src" / "lib", shop_a="N = 1\n")
    write(tmp_path / "src", shop_b="N = 2\n")
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path / "etc", "--chdir", "src", "--pythonpath", "lib").settings.threads == 3


def test_the_working_directory_is_searched(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "etc", conf=(project / "conf.py").read_text())
    monkeypatch.chdir(project)
    assert load(project / "etc").settings.threads == 3


def test_a_module_of_the_library_wins_over_one_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "etc", conf="import this_is_new, colorsys\nthreads = 2\n", this_is_new="", colorsys="1 / 0\n")
    sys.modules.pop("colorsys", None)
    assert load(tmp_path / "etc").settings.threads == 2
    del sys.modules["this_is_new"]


def test_a_module_that_is_missing_is_reported_with_its_line(project: Path) -> None:
    write(project, conf="\nimport shop_missing\n")
    with pytest.raises(ConfigError, match="failed in line 2: ModuleNotFoundError: No module named 'shop_missing'"):
        load(project)


def test_a_reload_imports_them_again(project: Path) -> None:
    load(project)
    write(project / "shop_project", conf="THREADS = 4\n")
    assert load(project).settings.threads == 4
    assert sys.modules["shop_project.conf"].THREADS == 4


def test_a_reload_that_fails_leaves_them_as_they_were(project: Path) -> None:
    load(project)
    before = sys.modules["shop_project.conf"]
    write(project / "shop_project", conf="THREADS = 4\nimport shop_project.more\n", more="")
    write(project, conf="from shop_project.conf import THREADS\n1 / 0\n")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        load(project)
    assert sys.modules["shop_project.conf"] is before
    assert "shop_project.more" not in sys.modules
    write(project, conf="from shop_project.conf import THREADS\nthreads = THREADS\n")
    assert load(project).settings.threads == 4


def test_a_package_of_which_the_application_has_imported_more_remains(project: Path) -> None:
    load(project)
    before = sys.modules["shop_project"]
    write(project / "shop_project", wsgi="", conf="THREADS = 4\n")
    path = sys.path[:]
    sys.path.insert(0, str(project))
    importlib.import_module("shop_project.wsgi")  # as --preload does
    sys.path[:] = path
    assert load(project).settings.threads == 3
    assert sys.modules["shop_project"] is before
