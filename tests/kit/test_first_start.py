"""deploy/app/first_start.py: a command that may drop tables runs once, and never where there are any."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

import first_start

SQLITE = {"databases": [{"engine": "sqlite3", "file": "/x"}]}


def make_table(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE note (text)")
        connection.commit()


def test_runs_while_no_file_has_tables(tmp_path):
    (tmp_path / "notes.txt").write_text("SQLite")
    with contextlib.closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
    assert first_start.reason_against([tmp_path], tmp_path, {}, SQLITE) == ""


@pytest.mark.parametrize("name", ["shop.db", "project/instance/data", "a/b/c/d.sqlite3"])
def test_does_not_run_where_a_file_has_tables(tmp_path, name):
    make_table(tmp_path / name)
    assert first_start.reason_against([tmp_path], tmp_path, {}, SQLITE) == f"{tmp_path / name} has tables already"


def test_finds_a_database_through_a_link(tmp_path):
    make_table(tmp_path / "data/site.db")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/site.db").symlink_to(tmp_path / "data/site.db")
    assert "has tables" in first_start.reason_against([tmp_path / "app"], tmp_path, {}, {})


def test_file_that_is_damaged_counts_as_one_with_tables(tmp_path):
    (tmp_path / "x.db").write_bytes(first_start.MAGIC + b"\x00" * 500)
    assert "has tables" in first_start.reason_against([tmp_path], tmp_path, {}, {})


def test_does_not_run_twice(tmp_path):
    first_start.remember(tmp_path)
    assert first_start.reason_against([], tmp_path, {}, {}) == "it has run before"


@pytest.mark.parametrize(
    ("environment", "answer"),
    [
        ({"DATABASE_URL": "postgresql+psycopg://db/shop"}, {}),
        ({}, {"databases": [{"engine": "postgresql", "host": "db"}]}),
    ],
)
def test_does_not_run_on_a_server_that_may_have_data(tmp_path, environment, answer):
    assert "on a server (postgresql)" in first_start.reason_against([], tmp_path, environment, answer)


def run_release(repository, folder, **variables):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "data"), **variables}
    command = [sys.executable, str(repository / "deploy/app/release.py")]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_release_creates_the_database_once_and_keeps_it(repository, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "create.py").write_text(
        "import os, sqlite3\nc = sqlite3.connect(os.environ['DATA_DIR'] + '/x.db')\n"
        "c.executescript('DROP TABLE IF EXISTS note; CREATE TABLE note (text)')\nopen('ran', 'a').write('x')\n"
    )
    command = f"{sys.executable} create.py"
    first = run_release(repository, tmp_path, INIT_COMMAND=command)
    assert first.returncode == 0, first.stderr
    assert "(once, since there is no database yet)" in first.stderr
    again = run_release(repository, tmp_path, INIT_COMMAND=command)
    assert f"release: {command}: not run, since it has run before" in again.stderr
    (tmp_path / "data" / first_start.MARKER).unlink()
    assert "x.db has tables already" in run_release(repository, tmp_path, INIT_COMMAND=command).stderr
    assert (tmp_path / "ran").read_text() == "x"


def test_command_that_fails_fails_the_release_and_runs_again(repository, tmp_path):
    (tmp_path / "data").mkdir()
    for _ in range(2):
        done = run_release(repository, tmp_path, INIT_COMMAND="false")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "release: false: exit status 1")
