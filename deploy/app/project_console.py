#!/opt/venv/bin/python -I
"""Starts a project's own console in its container, for `make manage`, `make shell` and `make dbshell`.

    project_console.py manage [ARGUMENT ...]   Django's manage.py
    project_console.py shell [ARGUMENT ...]    the framework's shell, or Python's, in which the project can be imported
    project_console.py dbshell [ARGUMENT ...]  the database's own client

The entrypoint has set the variables and entered the folder. This process becomes the program that is asked for,
which has the terminal and the signals and whose exit status is this one's. Exit status 2 and one line if there is none.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urlsplit

ANSWER = Path("/kit/project.json")
PYTHON = sys.executable
PACKAGES = {"psql": "postgresql-client", "mysql": "mariadb-client", "sqlite3": "sqlite3"}
"""Debian's packages of the clients. Only that of SQLite has a substitute in Python."""

ASK_DJANGO = """\
import json, django
django.setup()
from django.db import connection
print("\\n" + json.dumps([connection.vendor, connection.client.executable_name, str(connection.settings_dict["NAME"])]))
"""
SQLITE_MODULE = (3, 12)
"""The first Python with `python -m sqlite3`."""


class ConsoleError(Exception):
    """In one line: why there is no such console."""


class Program(NamedTuple):
    words: list[str]
    variables: Mapping[str, str] = {}


def program(console: str, arguments: list[str], framework: str, environment: Mapping[str, str]) -> Program:
    """What to run. Raises ConsoleError."""
    has_manage = Path("manage.py").is_file()
    match console:
        case "manage":
            if not has_manage:
                raise ConsoleError(f"the project has no manage.py in {Path.cwd()}")
            return Program([PYTHON, "manage.py", *arguments])
        case "shell":
            return Program(_shell(framework, environment, has_manage=has_manage) + arguments)
        case "dbshell" if framework == "django" and has_manage:
            return _dbshell_of_django(arguments)
        case "dbshell":
            return _dbshell_of_url(environment.get("DATABASE_URL", ""), arguments)
    raise ConsoleError(f"{console!r}: must be manage, shell or dbshell")


def _shell(framework: str, environment: Mapping[str, str], *, has_manage: bool) -> list[str]:
    if framework == "django" and has_manage:
        return [PYTHON, "manage.py", "shell"]
    if framework == "flask":
        return [PYTHON, "-m", "flask", "--app", environment.get("WSGI_APP", ""), "shell"]
    return [PYTHON]


def _dbshell_of_django(arguments: list[str]) -> Program:
    asked = subprocess.run([PYTHON, "-c", ASK_DJANGO], stdout=subprocess.PIPE, text=True, check=False)
    if asked.returncode:
        raise ConsoleError("Django's settings cannot be loaded; the lines above say why")
    vendor, client, name = json.loads(asked.stdout.splitlines()[-1])
    if vendor == "sqlite" and not shutil.which(client):
        return _python_sqlite(name, arguments)
    _require(client)
    return Program([PYTHON, "manage.py", "dbshell", *(["--", *arguments] if arguments else [])])


def _dbshell_of_url(url: str, arguments: list[str]) -> Program:
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        name = url.partition("///")[2].partition("?")[0]
        return Program(["sqlite3", name, *arguments]) if shutil.which("sqlite3") else _python_sqlite(name, arguments)
    if kind in ("postgres", "postgresql"):
        _require("psql")
        values = {
            "PGHOST": parts.hostname,
            "PGPORT": str(parts.port or ""),
            "PGUSER": unquote(parts.username or ""),
            "PGPASSWORD": unquote(parts.password or ""),
            "PGDATABASE": parts.path.lstrip("/"),
        }
        return Program(["psql", *arguments], {name: value for name, value in values.items() if value})
    raise ConsoleError(
        "DATABASE_URL is not set" if not url else f"DATABASE_URL: no console is known for {kind or 'it'!r}"
    )


def _python_sqlite(name: str, arguments: list[str]) -> Program:
    if sys.version_info < SQLITE_MODULE:
        _require("sqlite3")
    return Program([PYTHON, "-m", "sqlite3", name, *arguments])


def _require(client: str) -> None:
    if not shutil.which(client):
        package = PACKAGES.get(client, f"the package of {client}")
        raise ConsoleError(f"the image has no {client}: add {package} to RUNTIME_PACKAGES in .env, and run make up")


def read_answer(path: Path = ANSWER) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def main(arguments: list[str]) -> NoReturn:
    console, *rest = arguments or [""]
    try:
        chosen = program(console, rest, read_answer().get("framework", ""), os.environ)
        os.execvpe(chosen.words[0], chosen.words, {**os.environ, **chosen.variables})
    except ConsoleError as error:
        sys.stderr.write(f"{console}: {error}\n")
    except OSError as error:
        sys.stderr.write(f"{console}: cannot be started: {error.strerror}\n")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
