"""Which imported files are watched, and what is noted of them."""

import os
import subprocess
import sys

import pytest

from ropewalk.reloading.imported import is_edited, stamp_of

PROGRAM = """
import os, sys
from ropewalk.reloading.imported import imported_files, record_imports
record_imports()
sys.path.insert(0, "archive.zip")
import good, zipped
for name in ("broken", "raising", "absent"):
    try:
        __import__(name)
    except Exception:
        pass
for path, stamp in imported_files():
    print(os.path.relpath(path), stamp == (os.stat(path).st_mtime, os.stat(path).st_size))
"""


def test_files_of_failed_imports_are_known_with_what_they_were(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "")
    (tmp_path / "good.py").write_text("import json, os, pytest, inner\n")
    (tmp_path / "inner.py").write_text("")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    assert set(ran.stdout.splitlines()) == {
        *("good.py True", "inner.py True", "broken.py True", "raising.py True"),
        *("archive.zip False", "program.py False"),
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/me/shop/shop/urls.py", True),
        ("/usr/src/app/app.py", True),
        ("/home/me/shop/venv/lib/python3.13/site-packages/django/urls.py", False),
        ("/usr/lib/python3/dist-packages/yaml.py", False),
        (os.__file__, False),
        (stamp_of.__code__.co_filename, False),
        ("<frozen importlib>", False),
    ],
)
def test_installed_files_are_not_edited(path, expected):
    assert is_edited(path) is expected


def test_missing_file_has_no_stamp(tmp_path):
    assert stamp_of(str(tmp_path / "none")) is None
    assert stamp_of("a\0b") is None
