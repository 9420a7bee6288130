"""deploy/kit/project/reading.py."""

import pytest

from kit.errors import KitError
from kit.project import reading


def test_folders_that_are_not_served_are_left_out(project):
    files = dict.fromkeys(("a/x.py", "a/b/x.py", ".git/x.py", "node_modules/x.py", "own/bin/x.py", "tests/x.py"), "")
    folder = project(files | {"own/pyvenv.cfg": "", "x.py": "", "test_x.py": "", "conftest.py": ""})
    (folder / "link").symlink_to(folder / "a")
    assert [reading.relative(path, folder) for path in reading.modules(folder, 3)] == ["x.py", "a/x.py", "a/b/x.py"]
    assert [reading.relative(path, folder) for path in reading.modules(folder, 1)] == ["x.py", "a/x.py"]


@pytest.mark.parametrize("text", ["print 'two'", "{% if x %}", "x = 1\0", "(" * 10_000])
def test_module_that_cannot_be_parsed_is_none(project, text):
    assert reading.parse_module(project({"x.py": text}) / "x.py") is None


def test_folder_of_another_user_is_left_out(project, monkeypatch):
    folder = project({"x.py": "", "pgdata/x.py": "", "web/x.py": ""})
    monkeypatch.setattr(reading.os, "access", lambda path, mode: path.name != "pgdata")
    assert [reading.relative(path, folder) for path in reading.folders(folder, 1)] == [".", "web"]


def test_file_that_cannot_be_read_is_named(project):
    folder = project({})
    (folder / "latin.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(KitError, match=r"latin\.txt: is not a text in UTF-8"):
        reading.read_text(folder / "latin.txt")
    with pytest.raises(KitError, match=r"shown: cannot be read: No such file"):
        reading.read_text(folder / "none.txt", "shown")
