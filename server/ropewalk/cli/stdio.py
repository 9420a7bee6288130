"""Standard input, output and error of the command: what was closed before the start, and what cannot be written.

Main thread, before anything else is opened.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

INPUT, OUTPUT, ERROR = 0, 1, 2


def fill_standard_streams() -> None:
    """Put /dev/null where one of the three was closed (`2>&-`, some supervisors).

    Otherwise the next thing that is opened gets its number: what somebody prints would go into a listening socket.
    """
    for descriptor in (INPUT, OUTPUT, ERROR):
        if _is_closed(descriptor):
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
    # Python has none where the descriptor was closed, and an application that prints would raise.
    if sys.stdin is None:
        sys.stdin = open(INPUT, closefd=False)  # noqa: SIM115 - it is open for as long as the process
    if sys.stdout is None:
        sys.stdout = open(OUTPUT, "w", closefd=False)  # noqa: SIM115 - as above
    if sys.stderr is None:
        sys.stderr = open(ERROR, "w", closefd=False)  # noqa: SIM115 - as above


def say(text: str) -> None:
    """Write to standard output, at once. Raises OSError; SystemExit(0) when nobody reads on, as behind `| head`."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _fill_output()  # what is left in its buffer would fail once more at the interpreter's end
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        raise


def print_error(line: str) -> None:
    """Write a line to standard error, if it can be."""
    with suppress(OSError):
        sys.stderr.write(line + "\n")


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def _fill_output() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, OUTPUT)
    os.close(null)
