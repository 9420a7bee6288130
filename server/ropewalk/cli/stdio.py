"""The standard streams of the command: opened if the parent process closed them, and written without tracebacks.

Main thread.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NamedTuple

INPUT, OUTPUT, ERROR = 0, 1, 2


def open_closed_streams() -> None:
    """Open /dev/null as each stream that is closed (`2>&-`, some supervisors). Before anything else is opened.

    Otherwise the next file or socket would get its number, and what a program prints would go into a listening socket.
    """
    for descriptor in (INPUT, OUTPUT, ERROR):
        if _is_closed(descriptor):
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            os.set_inheritable(opened, True)
    # Python sets these to None if the descriptor was closed, and an application that prints would raise.
    if sys.stdin is None:
        sys.stdin = open(INPUT, closefd=False)  # noqa: SIM115 - open until the process exits
    if sys.stdout is None:
        sys.stdout = open(OUTPUT, "w", closefd=False)  # noqa: SIM115 - as above
    if sys.stderr is None:
        sys.stderr = open(ERROR, "w", closefd=False)  # noqa: SIM115 - as above


class Terminals(NamedTuple):
    """Which of the standard streams are terminals."""

    output: bool
    error: bool

    @classmethod
    def of_this_process(cls) -> Terminals:
        return cls(os.isatty(OUTPUT), os.isatty(ERROR))


def print_out(text: str) -> None:
    """Write to standard output, unbuffered. Raises OSError; SystemExit(0) if its reader is gone, as with `| head`."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _discard_output()  # or the rest of the buffer would fail once more when the interpreter exits
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        raise


def print_error(line: str) -> None:
    """Write a line to standard error, if that is possible."""
    with suppress(OSError):
        sys.stderr.write(line + "\n")


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def _discard_output() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, OUTPUT)
    os.close(null)
