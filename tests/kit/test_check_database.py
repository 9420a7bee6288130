"""deploy/app/check_database.py: databases that answer late, never, or cannot be written."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading

import pytest

import check_database


def test_database_that_answers_late_is_waited_for(capsys):
    answers = iter([OSError("Connection refused"), OSError("Connection refused"), None])

    def connect():
        if error := next(answers):
            raise error

    check_database.wait(check_database.Database("the database (postgres at db:5432)", connect))
    said = capsys.readouterr().err
    assert said == "release: waiting for the database (postgres at db:5432): Connection refused\n"


def test_database_that_never_answers_is_reported_with_the_reason():
    def connect():
        raise OSError("no route\nto host")

    with pytest.raises(check_database.CheckError, match=r"^the shop's does not answer after 0 s: no route to host$"):
        check_database.wait(check_database.Database("the shop's", connect), patience=0)


def test_url_is_reached_by_its_host_and_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        (database,) = check_database.of_url(f"postgres://ada:secret@127.0.0.1:{port}/shop")
        database.connect()
        thread.join()
    assert database.name == f"the database (postgres at 127.0.0.1:{port})"
    with pytest.raises(OSError, match="refused"):
        database.connect()


def test_missing_driver_is_not_waited_for():
    def connect():
        raise ImportError("no module psycopg")

    with pytest.raises(check_database.CheckError, match=r"^the shop's: ImportError: no module psycopg$"):
        check_database.wait(check_database.Database("the shop's", connect))


@pytest.mark.parametrize("url", ["sqlite:////data/shop.sqlite3", "sqlite:///shop.db", "sqlite://"])
def test_sqlite_is_refused_where_several_hosts_serve(url, monkeypatch, capsys):
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("SEVERAL_HOSTS", "1")
    assert check_database.main([]) == 1
    assert "several hosts cannot share an SQLite file: DATABASE_URL has to name a server" in capsys.readouterr().err


def test_sqlite_that_only_the_project_names_is_refused_on_several_hosts(tmp_path, monkeypatch, capsys):
    (tmp_path / "shop.py").write_text(
        "import sqlite3\nDATABASE = 'notes.db'\nsqlite3.connect(DATABASE).close()\napplication = print\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WSGI_APP", "shop:application")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert check_database.main([]) == 0
    monkeypatch.setenv("SEVERAL_HOSTS", "1")
    assert check_database.main([]) == 1
    assert f"{tmp_path}/notes.db: several hosts cannot share an SQLite file" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "unknown://"])
def test_url_without_a_server_needs_no_waiting(url):
    assert list(check_database.of_url(url)) == []


def test_file_is_created_and_has_the_journal_of_many_readers(tmp_path):
    check_database.check_file(str(tmp_path / "db.sqlite3"))
    connection = sqlite3.connect(tmp_path / "db.sqlite3")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_file_that_cannot_be_written_is_named_with_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "db").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        check_database.CheckError, match=r"the database db cannot be written: .* set WRITABLE_PATHS=db in"
    ):
        check_database.check_file("db")
    with pytest.raises(
        check_database.CheckError, match=r"its folder /proc/nowhere does not exist. .* keep it in DATA_DIR"
    ):
        check_database.check_file("/proc/nowhere/db")


@pytest.mark.parametrize(
    ("profiles", "host", "vendors", "is_said"),
    [
        ("acme,postgres", "postgres", {"sqlite"}, True),
        ("postgres", "postgres", {"sqlite", "postgresql"}, False),
        ("postgres", "db.example", {"mysql"}, False),
        ("acme", "postgres", {"sqlite"}, False),
    ],
)
def test_server_of_the_kit_that_the_project_does_not_use_is_said(monkeypatch, profiles, host, vendors, is_said):
    monkeypatch.setenv("COMPOSE_PROFILES", profiles)
    monkeypatch.setenv("PGHOST", host)
    said = check_database.unused_server(vendors)
    assert ("the project's database is sqlite: DATABASES" in said) == bool(said) == is_said


def test_django_is_asked_for_its_databases(tmp_path):
    (tmp_path / "settings.py").write_text(
        "SECRET_KEY = 'x'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/proc/nowhere/db.sqlite3'}}\n"
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "settings", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, check_database.__file__]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("release: the database /proc/nowhere/db.sqlite3 cannot be written: ")
    assert done.stderr.count("\n") == 1
