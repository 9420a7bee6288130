"""The logs of a program that serves on a terminal: those of the command there, for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ropewalk.cli.stdio import Terminals

OF_ERROR_LOG = frozenset({"error_log", "error_logfile", "error_log_format"})

OF_ACCESS_LOG = frozenset({"access_log", "access_logfile", "access_log_format", "access_logformat"})


def logs_on_terminal(given: Iterable[str] = ()) -> dict[str, Any]:
    """Settings of the logs on those of the standard streams that are terminals, unless the program has `given` some."""
    terminals, names = Terminals.of_this_process(), set(given)
    settings: dict[str, Any] = {}
    if terminals.error and not names & OF_ERROR_LOG:
        settings["error_log_format"] = "terminal"
    if terminals.output and not names & OF_ACCESS_LOG:
        settings |= {"access_log": "-", "access_log_format": "terminal"}
    return settings
