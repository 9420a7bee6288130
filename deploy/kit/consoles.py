"""`make manage`, `make shell`, `make dbshell`: a console of the project in the container that serves it.

deploy/app/project_console.py decides there what to start. The entrypoint gives it the application's environment, which
`docker compose exec` alone would not.
"""

import os
import shlex
import sys
from collections.abc import Mapping
from typing import NoReturn

from kit import compose, containers, processes
from kit.errors import KitError

ENTRYPOINT = "/kit/bin/entrypoint"
CONSOLE = "/kit/bin/project_console.py"
TERMINAL_VARIABLES = ("TERM", "COLUMNS", "LINES", "NO_COLOR")


def manage(environment: Mapping[str, str]) -> NoReturn:
    """The command is in CMD, quoted as in a shell: CMD='loaddata "my data.json"'. Raises KitError."""
    run("manage", split(environment.get("CMD", "")), environment)


def shell(environment: Mapping[str, str]) -> NoReturn:
    run("shell", [], environment)


def dbshell(environment: Mapping[str, str]) -> NoReturn:
    run("dbshell", [], environment)


def split(command: str) -> list[str]:
    """Raises KitError for a quote that is not closed."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise KitError(f"CMD={command!r}: {str(error).lower()}") from None


def run(console: str, arguments: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replaces this process. Raises KitError if no application runs."""
    prepared = compose.prepare(environment)
    container = containers.application(prepared).identifier
    processes.replace(words(console, arguments, container, environment, is_terminal=is_terminal()), prepared)


def words(
    console: str, arguments: list[str], container: str, environment: Mapping[str, str], *, is_terminal: bool
) -> list[str]:
    """The command line that opens it in this container."""
    start = ["docker", "exec", *options(environment, is_terminal=is_terminal), container]
    return [*start, ENTRYPOINT, CONSOLE, console, *arguments]


def is_terminal() -> bool:
    return os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())


def options(environment: Mapping[str, str], *, is_terminal: bool) -> list[str]:
    """Of `docker exec`: standard input always, so that files can be piped; a terminal and its settings, if there."""
    if not is_terminal:
        return ["--interactive"]
    settings = [f"--env={name}={environment[name]}" for name in TERMINAL_VARIABLES if environment.get(name)]
    return ["--interactive", "--tty", *settings]
