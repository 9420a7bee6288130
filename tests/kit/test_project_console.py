"""deploy/app/project_console.py: which program a console is; and the real ones in a container."""

import json
import os
import subprocess
import sys

import pytest

import project_console
from project_console import ConsoleError, Program, program

PYTHON = sys.executable


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The project's folder, in which the console starts; programs are found in its bin/ only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def install(folder, name, script="exit 0"):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def refusal(*arguments):
    with pytest.raises(ConsoleError) as raised:
        program(*arguments)
    return str(raised.value)


def test_manage_needs_the_file(folder):
    assert refusal("manage", ["check"], "flask", {}) == f"the project has no manage.py in {folder}"
    (folder / "manage.py").touch()
    assert program("manage", ["check"], "django", {}).words == [PYTHON, "manage.py", "check"]


def test_shell_is_the_framework_s_own(folder):
    assert program("shell", [], "", {}).words == [PYTHON]
    flask = program("shell", [], "flask", {"WSGI_APP": "shop:app"}).words
    assert flask == [PYTHON, "-m", "flask", "--app", "shop:app", "shell"]
    (folder / "manage.py").touch()
    assert program("shell", ["-c", "1"], "django", {}).words == [PYTHON, "manage.py", "shell", "-c", "1"]


@pytest.fixture
def django(folder, monkeypatch):
    """django(vendor, client, name): a project whose settings name this database."""
    (folder / "manage.py").touch()

    def connect(*answer, status=0):
        said = subprocess.CompletedProcess([], status, "a line of the project's\n" + json.dumps(answer) + "\n")
        monkeypatch.setattr(project_console.subprocess, "run", lambda *_, **__: said)

    return connect


def test_dbshell_of_django_uses_the_database_s_client(folder, django):
    django("postgresql", "psql", "shop")
    said = refusal("dbshell", [], "django", {})
    assert said == "the image has no psql: add postgresql-client to RUNTIME_PACKAGES in .env, and run make up"
    install(folder, "psql")
    assert program("dbshell", [], "django", {}).words == [PYTHON, "manage.py", "dbshell"]
    assert program("dbshell", ["-c", "x"], "django", {}).words[-3:] == ["--", "-c", "x"]


def test_dbshell_of_sqlite_needs_no_client_with_a_newer_python(folder, django, monkeypatch):
    django("sqlite", "sqlite3", "/data/db.sqlite3")
    monkeypatch.setattr(project_console, "SQLITE_MODULE", (3, 0))
    words = [PYTHON, "-m", "sqlite3", "/data/db.sqlite3"]
    assert program("dbshell", [], "django", {}).words == words
    monkeypatch.setattr(project_console, "SQLITE_MODULE", (3, 99))
    assert "the image has no sqlite3: add sqlite3 to" in refusal("dbshell", [], "django", {})


def test_settings_that_cannot_be_loaded_are_named(django):
    django(status=1)
    assert refusal("dbshell", [], "django", {}).startswith("Django's settings cannot be loaded")


def test_dbshell_of_a_url_passes_no_password_on_the_command_line(folder):
    install(folder, "psql")
    chosen = program("dbshell", [], "flask", {"DATABASE_URL": "postgresql+psycopg://ada:p%40ss@db:5433/shop"})
    assert chosen == Program(
        ["psql"],
        {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "ada", "PGPASSWORD": "p@ss", "PGDATABASE": "shop"},
    )


def test_dbshell_of_an_sqlite_url(folder):
    install(folder, "sqlite3")
    url = {"DATABASE_URL": "sqlite:////data/shop.db?timeout=5"}
    assert program("dbshell", [], "", url).words == ["sqlite3", "/data/shop.db"]


@pytest.mark.parametrize(
    ("url", "said"),
    [("", "DATABASE_URL is not set"), ("mongodb://db/shop", "DATABASE_URL: no console is known for 'mongodb'")],
)
def test_dbshell_without_a_known_database_says_so(folder, url, said):
    assert refusal("dbshell", [], "", {"DATABASE_URL": url}) == said


@pytest.mark.parametrize("arguments", [[], ["nope"]])
def test_unknown_console_is_one_line(repository, arguments):
    command = [sys.executable, "-I", repository / "deploy/app/project_console.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.fixture(scope="module")
def console(start_stack):
    stack = start_stack("sample")
    stack.up()

    def call(*words, sent=b""):
        command = ["docker", "exec", "--interactive", stack.container("app"), "/kit/bin/entrypoint"]
        return subprocess.run(
            [*command, "/kit/bin/project_console.py", *words],
            input=sent,
            capture_output=True,
            check=False,
            timeout=120,
            env=os.environ,
        )

    return call


@pytest.mark.docker
def test_manage_has_the_application_s_environment(console):
    code = "import os; print(os.environ['ALLOWED_HOSTS'], os.environ['WSGI_APP'])"
    done = console("manage", "shell", "--verbosity", "0", "--command", code)
    assert done.stdout == b"localhost,127.0.0.1,[::1] sample_project.wsgi:application\n", done.stderr


@pytest.mark.docker
def test_exit_status_is_passed_on(console):
    assert console("manage", "migrate", "--check").returncode == 0
    assert console("manage", "no_such_command").returncode == 1


@pytest.mark.docker
def test_shell_reads_standard_input(console):
    assert b"42" in console("shell", sent=b"print(6 * 7)\n").stdout


@pytest.mark.docker
def test_dbshell_reads_standard_input(console):
    done = console("dbshell", sent=b"select 6 * 7;\n")
    assert b"(42,)" in done.stdout, done.stderr
