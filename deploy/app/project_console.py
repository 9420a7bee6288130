#!/opt/venv/bin/python -I
"""Starts a project's own console in its container, for `make manage`, `make shell` and `make dbshell`.

    project_console.py manage [ARGUMENT ...]   the framework's commands: Django's manage.py, or `flask`
    project_console.py shell [ARGUMENT ...]    the framework's shell, or Python's, in which the project can be imported
    project_console.py dbshell [ARGUMENT ...]  the database's own client

The entrypoint has set the variables and entered the folder. This process becomes the program that is asked for,
which has the terminal and the signals and whose exit status is this one's. Exit status 2 and one line if there is none.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
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
DATABASE_SCRIPT = Path(__file__).with_name("project_database.py")
HOW_TO_CHOOSE = "For one of them: docker compose exec app python -m sqlite3 PATH"
SQLITE_MODULE = (3, 12)
"""The first Python with `python -m sqlite3`."""


class ConsoleError(Exception):
    """In one line: why there is no such console."""


class Program(NamedTuple):
    words: list[str]
    variables: Mapping[str, str] = {}


def program(console: str, arguments: list[str], framework: str, environment: Mapping[str, str]) -> Program:
    """What to run. Raises ConsoleError."""
    commands = _commands(framework)
    # not --app, which Flask before 2.2 does not know
    is_told = framework != "flask" or environment.get("FLASK_APP")
    variables = {} if is_told else {"FLASK_APP": environment.get("WSGI_APP", "")}
    match console:
        case "manage" if Path("manage.py").is_file():
            return Program([PYTHON, "manage.py", *arguments])
        case "manage" if commands:
            return Program([*commands, *arguments], variables)
        case "manage":
            raise ConsoleError(
                f"the project has no manage.py in {Path.cwd()}, and it is no Flask application. Any program of it:"
                " docker compose exec app python ..."
            )
        case "shell":
            return Program([*commands, "shell", *arguments] if commands else [PYTHON, *arguments], variables)
        case "dbshell" if commands and framework == "django":
            return _dbshell_of_django(commands, arguments)
        case "dbshell":
            return _dbshell_of_url(_url(environment), arguments)
    raise ConsoleError(f"{console!r}: must be manage, shell or dbshell")


def _commands(framework: str) -> list[str]:
    """What the project's own commands begin with; empty if its framework has none."""
    if framework == "django":
        return [PYTHON, "manage.py"] if Path("manage.py").is_file() else [PYTHON, "-m", "django"]
    if framework == "flask":
        return [PYTHON, "-m", "flask"]
    return []


def _dbshell_of_django(commands: list[str], arguments: list[str]) -> Program:
    asked = subprocess.run([PYTHON, "-c", ASK_DJANGO], stdout=subprocess.PIPE, text=True, check=False)
    if asked.returncode:
        raise ConsoleError("Django's settings cannot be loaded; the lines above say why")
    vendor, client, name = json.loads(asked.stdout.splitlines()[-1])
    if vendor == "sqlite" and not shutil.which(client):
        return _python_sqlite(name, arguments)
    _require(client)
    return Program([*commands, "dbshell", *(["--", *arguments] if arguments else [])])


def _url(environment: Mapping[str, str]) -> str:
    """Of the database that the project uses; if it cannot be asked, or knows none, what DATABASE_URL says."""
    asked = subprocess.run([PYTHON, str(DATABASE_SCRIPT)], stdout=subprocess.PIPE, text=True, check=False)
    found = json.loads(asked.stdout.splitlines()[-1]) if asked.returncode == 0 else []
    if len(found) > 1:
        raise ConsoleError(f"the project has several databases: {', '.join(map(_shown, found))}. {HOW_TO_CHOOSE}")
    return found[0] if found else environment.get("DATABASE_URL", "")


def _shown(url: str) -> str:
    """Without a password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1@", url)


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
    if not url:
        raise ConsoleError("no database of the project is known: neither SQLAlchemy nor DATABASE_URL names one")
    raise ConsoleError(f"no console is known for a database of the kind {kind or url!r}")


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


def framework(answer: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """What the project said while the image was built. If it could not be imported then, by what is installed."""
    said = answer.get("framework")
    if not said and environment.get("DJANGO_SETTINGS_MODULE") and find_spec("django"):
        return "django"
    return str(said) if said is not None else "flask" if find_spec("flask") else ""


def main(arguments: list[str]) -> NoReturn:
    console, *rest = arguments or [""]
    try:
        chosen = program(console, rest, framework(read_answer(), os.environ), os.environ)
        os.execvpe(chosen.words[0], chosen.words, {**os.environ, **chosen.variables})
    except ConsoleError as error:
        sys.stderr.write(f"{console}: {error}\n")
    except OSError as error:
        sys.stderr.write(f"{console}: cannot be started: {error.strerror}\n")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
