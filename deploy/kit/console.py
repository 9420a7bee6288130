"""Output of the kit's command."""

import os
import sys


def step(text: str) -> None:
    """One step of a command, on standard output; bold on a terminal."""
    mark = "\033[1m==>\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "==>"
    print(mark, text, flush=True)  # noqa: T201
