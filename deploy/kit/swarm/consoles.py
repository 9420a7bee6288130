"""`make manage`, `make shell`, `make dbshell` and `make status-page` for a swarm.

They use a container of the application on this node, or on one of SWARM_NODES. If there is none, a job runs the command
on the node that Swarm chooses: it has no terminal and no standard input.
"""

import sys
from collections.abc import Mapping

from kit import consoles, processes
from kit import status_page as of_compose
from kit.errors import KitError
from kit.swarm import one_off, tasks

NONE = "no container of the application runs on this node, or on one of SWARM_NODES"


def manage(environment: Mapping[str, str]) -> int:
    return run("manage", consoles.split(environment.get("CMD", "")), environment)


def shell(environment: Mapping[str, str]) -> int:
    return run("shell", [], environment)


def dbshell(environment: Mapping[str, str]) -> int:
    return run("dbshell", [], environment)


def run(console: str, arguments: list[str], environment: Mapping[str, str]) -> int:
    """Replaces this process, or returns the exit status of the job. Raises KitError."""
    stack = tasks.find(environment)
    is_terminal = consoles.is_terminal()
    for engine, container in tasks.running(stack, "app"):
        words = consoles.words(console, arguments, container.identifier, environment, is_terminal=is_terminal)
        processes.replace(words, engine.environment)
    if console != "manage":
        raise KitError(f"{NONE}, and a job has no terminal: name the engine of a node that has one in SWARM_NODES")
    sys.stderr.write(f"manage: {NONE}: by a job, without a terminal\n")
    return one_off.run(stack, [consoles.CONSOLE, console, *arguments])


def status_page(environment: Mapping[str, str]) -> int:
    """Until Ctrl-C."""
    stack = tasks.find(environment)
    found = [(container, engine.environment) for engine, container in tasks.running(stack, "app")]
    if not found:
        raise KitError(NONE)
    return of_compose.show(found, stack.values)
