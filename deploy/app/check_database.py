#!/usr/bin/env python3
"""Waits until the project's databases answer, and checks that those in files can be written.

Runs in the project's folder, with its packages and variables, before the migrations. Django is asked for its databases;
other projects have the one that DATABASE_URL names, if it is set. Exit status 1, and one line that says which database
and why, if one does not answer in time or cannot be written.

    check_database.py [SECONDS]     how long to wait for each; given by `make run`, where no container is
"""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE = 60  # seconds: a database that starts together with the site is ready before
PAUSE = 0.5
PASSING = ("OperationalError", "InterfaceError")  # of the drivers and of Django: the server may be starting
PORTS = {"postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "redis": 6379, "mssql": 1433}


class Database(NamedTuple):
    name: str
    """For people: what it is, and where."""
    connect: Callable[[], None]
    """Raises an exception as long as it does not answer."""


class CheckError(Exception):
    """In one line: which database, and why."""


def say(text: str) -> None:
    sys.stderr.write(f"release: {text}\n")


def wait(database: Database, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    is_waiting = False
    while True:
        try:
            return database.connect()
        except Exception as error:  # noqa: BLE001 - each driver has its own
            reason = " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, OSError) and type(error).__name__ not in PASSING:
                raise CheckError(f"{database.name}: {type(error).__name__}: {reason[:300]}") from None
            if time.monotonic() > deadline:
                raise CheckError(f"{database.name} does not answer after {patience:.0f} s: {reason[:300]}") from None
            if not is_waiting:
                say(f"waiting for {database.name}: {reason[:300]}")
                is_waiting = True
            time.sleep(PAUSE)


def of_django(*, is_in_container: bool = True) -> Iterator[Database]:
    """Raises CheckError for an SQLite file that cannot be written."""
    sys.path.insert(0, str(Path.cwd()))
    import django

    django.setup()
    from django.db import connections

    if said := unused_server({connection.vendor for connection in connections.all()}):
        say(said)
    for alias in connections:
        connection = connections[alias]
        settings = connection.settings_dict
        if connection.vendor == "sqlite":
            check_file(str(settings["NAME"]), is_in_container=is_in_container)
        elif settings["ENGINE"] != "django.db.backends.dummy":
            place = f" at {settings['HOST']}" if settings.get("HOST") else ""
            place += f":{settings['PORT']}" if settings.get("PORT") else ""
            yield Database(f"the database {alias!r} ({connection.vendor}{place})", connection.ensure_connection)


def unused_server(vendors: set[str]) -> str:
    """A warning if the kit's own PostgreSQL runs, and the project's databases are all of another kind.

    Its variables are set unless the project names another server.
    """
    is_on = "postgres" in os.environ.get("COMPOSE_PROFILES", "").split(",") and os.environ.get("PGHOST") == "postgres"
    if not is_on or "postgresql" in vendors:
        return ""
    return (
        f"warning: the profile postgres is on, and the project's database is {' and '.join(sorted(vendors))}: DATABASES"
        " in the settings has to read DATABASE_URL or PGDATABASE (docs/data.md)"
    )


def of_url(url: str, *, is_in_container: bool = True) -> Iterator[Database]:
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    if scheme == "sqlite":
        name = url.partition("///")[2].partition("?")[0]
        # where a relative path starts is the framework's to say: Flask-SQLAlchemy's starts in instance/
        check_file(name if name.startswith("/") else "", is_in_container=is_in_container)
    elif parts.hostname and (port := parts.port or PORTS.get(scheme)):
        address = (parts.hostname, port)

        def connect() -> None:
            socket.create_connection(address, timeout=5).close()

        yield Database(f"the database ({scheme} at {parts.hostname}:{port})", connect)


def check_file(name: str, *, is_in_container: bool = True) -> None:
    """Writes nothing that stays, but sets the journal to WAL, in which readers and a writer do not wait for each other.

    Raises CheckError.
    """
    if is_in_container and os.environ.get("SEVERAL_HOSTS") == "1":
        raise CheckError(
            f"{name or 'SQLite'}: several hosts cannot share an SQLite file:"
            " DATABASE_URL has to name a server, such as PostgreSQL"
        )
    if not name or ":memory:" in name or "mode=memory" in name:
        return
    is_uri = name.startswith("file:")
    try:
        connection = sqlite3.connect(name, timeout=20, isolation_level=None, uri=is_uri)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    except sqlite3.Error as error:
        folder = Path(name.removeprefix("file:").partition("?")[0] if is_uri else name).absolute().parent
        reason = str(error) if folder.is_dir() else f"its folder {folder} does not exist"
        advice = f". {_advice(name)}" if is_in_container else ""
        raise CheckError(f"the database {name} cannot be written: {reason}{advice}") from None


def of_files() -> None:
    """For a project that is not Django's: its SQLite files, which DATABASE_URL need not name. Raises CheckError."""
    if os.environ.get("SEVERAL_HOSTS") != "1":
        return
    command = [sys.executable, str(Path(__file__).with_name("project_database.py"))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    for url in json.loads((done.stdout.splitlines() or ["[]"])[-1]):
        if url.startswith("sqlite") and ":memory:" not in url and url.rpartition("///")[2]:
            check_file(url.partition("///")[2])


def _advice(name: str) -> str:
    folder = Path.cwd()
    path = (folder / name).absolute()
    if path.is_relative_to("/data"):
        return "Files in /data have to belong to uid 10001"
    if path.is_relative_to(folder):
        return f"The container's files are read-only: set WRITABLE_PATHS={path.relative_to(folder)} in .env"
    return "The container's files are read-only: keep it in DATA_DIR (/data)"


def main(arguments: list[str]) -> int:
    patience, is_in_container = float(arguments[0]) if arguments else PATIENCE, not arguments
    try:
        if os.environ.get("DJANGO_SETTINGS_MODULE"):
            databases = of_django(is_in_container=is_in_container)
        else:
            of_files()
            databases = of_url(os.environ.get("DATABASE_URL", ""), is_in_container=is_in_container)
        for database in databases:
            wait(database, patience)
    except CheckError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
