"""Output of the kit's command."""

import os
import sys
from collections.abc import Mapping
from typing import TextIO


def step(text: str) -> None:
    """One step of a command, on standard output; bold on a terminal."""
    mark = "\033[1m==>\033[0m" if has_color(sys.stdout, os.environ) else "==>"
    print(mark, text, flush=True)


def has_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether it is a terminal, and NO_COLOR (https://no-color.org) does not forbid it."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
