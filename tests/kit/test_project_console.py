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


def test_manage_runs_the_framework_s_commands(folder):
    flask = [PYTHON, "-m", "flask"]
    # Flask before 2.2 has no --app
    served = program("manage", ["init-db"], "flask", {"WSGI_APP": "shop:app"})
    assert served == ([*flask, "init-db"], {"FLASK_APP": "shop:app"})
    named = {"WSGI_APP": "wsgi:application", "FLASK_APP": "shop"}
    assert program("manage", [], "flask", named) == (flask, {})
    assert program("manage", ["check"], "django", {}).words == [PYTHON, "-m", "django", "check"]
    (folder / "manage.py").touch()
    for framework in ("django", "flask", ""):
        assert program("manage", ["check"], framework, {}).words == [PYTHON, "manage.py", "check"]


def test_manage_without_commands_says_how_to_run_a_program(folder):
    assert refusal("manage", ["check"], "", {}) == (
        f"the project has no manage.py in {folder}, and it is no Flask application. Any program of it:"
        " docker compose exec app python ..."
    )


def test_project_that_could_not_be_imported_is_known_by_its_packages(monkeypatch):
    monkeypatch.setattr(project_console, "find_spec", lambda name: name == "flask")
    assert project_console.framework({}, {}) == "flask"
    assert project_console.framework({"framework": ""}, {}) == ""
    monkeypatch.setattr(project_console, "find_spec", lambda name: name == "django")
    assert project_console.framework({}, {"DJANGO_SETTINGS_MODULE": "shop.settings"}) == "django"


def test_shell_is_the_framework_s_own(folder):
    assert program("shell", [], "", {}).words == [PYTHON]
    flask = program("shell", [], "flask", {"WSGI_APP": "shop:app"})
    assert flask == ([PYTHON, "-m", "flask", "shell"], {"FLASK_APP": "shop:app"})
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


@pytest.fixture
def database(folder, monkeypatch):
    """database(*urls): what the project says that it uses."""

    def set_to(*urls):
        said = subprocess.CompletedProcess([], 0, "a line of the project's\n" + json.dumps(urls) + "\n")
        monkeypatch.setattr(project_console.subprocess, "run", lambda *_, **__: said)

    set_to()
    return set_to


def test_dbshell_opens_the_database_that_the_project_uses(folder, database):
    install(folder, "sqlite3")
    database("sqlite:////data/shop.db")
    url = {"DATABASE_URL": "postgresql://ada@db/unused"}
    assert program("dbshell", [], "flask", url).words == ["sqlite3", "/data/shop.db"]


def test_several_databases_are_listed_without_passwords(database):
    database("sqlite:////data/a.db", "postgresql://ada:secret@db/shop")
    said = refusal("dbshell", [], "flask", {})
    assert said.startswith("the project has several databases: sqlite:////data/a.db, postgresql://ada@db/shop. For one")


@pytest.mark.usefixtures("database")
def test_dbshell_of_a_url_passes_no_password_on_the_command_line(folder):
    install(folder, "psql")
    chosen = program("dbshell", [], "flask", {"DATABASE_URL": "postgresql+psycopg://ada:p%40ss@db:5433/shop"})
    assert chosen == Program(
        ["psql"],
        {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "ada", "PGPASSWORD": "p@ss", "PGDATABASE": "shop"},
    )


@pytest.mark.usefixtures("database")
def test_dbshell_of_an_sqlite_url(folder):
    install(folder, "sqlite3")
    url = {"DATABASE_URL": "sqlite:////data/shop.db?timeout=5"}
    assert program("dbshell", [], "", url).words == ["sqlite3", "/data/shop.db"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no database of the project is known: neither SQLAlchemy nor DATABASE_URL names one"),
        ("mongodb://db/shop", "no console is known for a database of the kind 'mongodb'"),
    ],
)
@pytest.mark.usefixtures("database")
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
