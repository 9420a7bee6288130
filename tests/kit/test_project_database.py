"""deploy/app/project_database.py: which database a project that is not Django's uses."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest


@pytest.fixture
def ask(tmp_path, repository):
    """ask(source, app="site:app"): what is printed for a project of one module, site_app.py."""
    (tmp_path / "data").mkdir()

    def call(source, **variables):
        (tmp_path / "site_app.py").write_text(source)
        environment = {"PYTHONPATH": str(repository / "server"), "PATH": os.environ["PATH"]}
        environment |= {"WSGI_APP": "site_app:app", "DATA_DIR": str(tmp_path / "data")} | variables
        script = repository / "deploy/app/project_database.py"
        command = [sys.executable, script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    return call


def urls(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def create(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.commit()


PLAIN = "def app(environ, start_response): return []\n"


def test_file_that_a_module_names(ask, tmp_path):
    create(tmp_path / "notes.db")
    source = f"import sqlite3\ndef connect(): return sqlite3.connect('notes.db')\n{PLAIN}"
    assert urls(ask(source)) == [f"sqlite:///{tmp_path}/notes.db"]


def test_file_in_the_folder_for_data(ask, tmp_path):
    create(tmp_path / "data/x")
    assert urls(ask(f"print('hello')\n{PLAIN}")) == [f"sqlite:///{tmp_path}/data/x"]


def test_none(ask):
    assert urls(ask(PLAIN)) == []


def test_application_that_cannot_be_loaded_is_one_line(ask):
    done = ask("raise RuntimeError('no\\nkey')\n")
    assert done.returncode == 1
    assert done.stderr.startswith("the project was not asked: ")
    assert done.stderr.count("\n") == 1
