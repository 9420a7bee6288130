"""The watcher: which changes it returns, with the kernel's events and by comparing alone."""

import importlib.util
import os
import threading
import time

import pytest

from ropewalk.reloading import watcher as module
from ropewalk.reloading.events import Events
from ropewalk.reloading.imported import stamp_of
from ropewalk.reloading.watcher import Watcher

PATIENCE = 20


@pytest.fixture(params=["inotify", "poll"])
def engine(request):
    return request.param


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "shop.py").write_text("x = 1\n")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text("<p>old")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def watch(project, engine):
    """Makes a watcher of `shop.py` that has taken its first look."""
    made = []

    def watch(**arguments):
        arguments = {"files": lambda: iter([(str(project / "shop.py"), None)]), "engine": engine} | arguments
        watcher = Watcher(**arguments)
        made.append(watcher)
        assert watcher.changed() == []
        return watcher

    yield watch
    for watcher in made:
        watcher.close()


def after(act):
    """Have `act` happen while the caller waits."""
    timer = threading.Timer(0.2, act)
    timer.start()
    return timer


def test_change_of_a_module_is_returned_once(watch, project, stop):
    watcher = watch()
    timer = after(lambda: (project / "shop.py").write_text("x = 22\n"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.py")]
    timer.join()
    assert watcher.changed() == []


def test_file_that_an_editor_replaces_is_changed_once(watch, project, stop):
    watcher = watch()

    def replace():
        (project / "shop.py").rename(project / "shop.py~")
        (project / "new").write_text("x = 22\n")
        (project / "new").rename(project / "shop.py")

    timer = after(replace)
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.py")]
    timer.join()
    assert watcher.changed() == []


def test_file_that_is_removed_and_comes_back_has_changed_twice(watch, project, stop):
    watcher = watch()
    (project / "shop.py").unlink()
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.py")]
    timer = after(lambda: (project / "shop.py").write_text("x = 1\n"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.py")]
    timer.join()


def test_change_between_import_and_first_look_is_returned(project, engine, stop):
    path = str(project / "shop.py")
    imported = stamp_of(path)
    (project / "shop.py").write_text("x = 333\n")
    watcher = Watcher(files=lambda: iter([(path, imported)]), engine=engine)
    assert watcher.wait(stop, PATIENCE) == [path]
    watcher.close()


def test_module_that_is_imported_later_is_watched(watch, project, stop):
    files = [(str(project / "shop.py"), None)]
    watcher = watch(files=lambda: iter(files))
    (project / "late").mkdir()
    late = project / "late/late.py"
    late.write_text("")
    files.append((str(late), None))
    assert watcher.wait(stop, 0.1) == []
    timer = after(lambda: late.write_text("y = 1"))
    assert watcher.wait(stop, PATIENCE) == [str(late)]
    timer.join()


def test_template_is_watched_and_a_new_one_too(watch, project, stop):
    watcher = watch()
    timer = after(lambda: (project / "templates/page.html").write_text("<p>newer"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "templates/page.html")]
    timer.join()
    timer = after(lambda: (project / "templates/other.html").write_text("<p>"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "templates/other.html")]
    timer.join()


def test_extra_files_are_paths_folders_and_patterns(watch, project, stop):
    for name in ("one.toml", "two.yaml", "other.yaml", "folder/deep/three.txt"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("a")
    watcher = watch(extra=["one.toml", "t*.yaml", "folder", "missing.ini"])
    for name in ("one.toml", "two.yaml", "folder/deep/three.txt", "missing.ini"):
        (project / "other.yaml").write_text("not watched: " + name)
        (project / name).write_text("longer")
        assert watcher.wait(stop, PATIENCE) == [str(project / name)]


def test_ignored_files_are_not_watched(watch, project, stop):
    (project / "shop.yaml").write_text("")
    watcher = watch(extra=["*.yaml", "templates"], ignore=["shop.py", "templates"])
    (project / "shop.py").write_text("x = 333\n")
    (project / "templates/page.html").write_text("<p>newer")
    assert watcher.wait(stop, 0.5) == []
    (project / "shop.yaml").write_text("a: 1")
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.yaml")]


def test_with_a_failure_a_new_source_file_counts(watch, project, stop):
    watcher = watch()
    (project / "before.py").write_text("")
    assert watcher.wait(stop, 0.1) == []
    watcher.watch_sources()
    timer = after(lambda: (project / "missing.py").write_text("x = 1"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "missing.py")]
    timer.join()


def test_target_of_a_link_is_watched(watch, project, tmp_path_factory, stop):
    target = tmp_path_factory.mktemp("elsewhere") / "real.py"
    target.write_text("a = 1")
    (project / "link.py").symlink_to(target)
    watcher = watch(files=lambda: iter([(str(project / "link.py"), None)]))
    timer = after(lambda: target.write_text("a = 22"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "link.py")]
    timer.join()


def test_wait_ends_when_asked(watch, stop):
    watcher = watch()
    timer = after(stop.set)
    assert watcher.wait(stop) == []
    timer.join()


def test_without_watchfiles_it_polls(project, stop, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    watcher = Watcher(files=lambda: iter([(str(project / "shop.py"), None)]))
    assert watcher.is_polling
    assert watcher.changed() == []
    timer = after(lambda: (project / "shop.py").write_text("x = 22\n"))
    assert watcher.wait(stop, PATIENCE) == [str(project / "shop.py")]
    timer.join()


def test_where_no_events_come_it_polls_from_the_first_missed_one_on(project, stop, monkeypatch):
    """As on a mounted folder whose file system does not pass on what another machine has changed."""

    class Silent(Events):
        def __init__(self, paths):
            self.folders = frozenset(paths)

        def wait(self, seconds, stop):
            stop.wait(seconds)
            return set()

        def close(self):
            pass

    monkeypatch.setattr(module, "Events", Silent)
    reports = []
    path = str(project / "shop.py")
    watcher = Watcher(files=lambda: iter([(path, None)]), engine="inotify", report=reports.append)
    assert watcher.changed() == []
    timer = after(lambda: (project / "shop.py").write_text("x = 22\n"))
    assert watcher.wait(stop, PATIENCE) == [path]
    timer.join()
    assert watcher.is_polling
    assert reports == [f"Looking at files every 0.25 s: no event came for {path}"]


def test_mounted_folder_is_polled_from_the_start(project, stop, monkeypatch):
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "mounts", lambda: [(os.path.realpath(project), "virtiofs"), ("/", "ext4")])
    reports = []
    watcher = Watcher(files=lambda: iter([(str(project / "shop.py"), None)]), report=reports.append)
    assert watcher.wait(stop, 0.1) == []
    assert watcher.is_polling
    assert reports == [
        f"Looking at files every 0.25 s: changes of files in {project} may come from outside of this machine"
    ]


def test_idle_watcher_compares_seldom(watch, engine, stop):
    watcher = watch()
    before = time.thread_time()
    assert watcher.wait(stop, 1.0) == []
    assert time.thread_time() - before < 0.5  # it does not turn in circles
