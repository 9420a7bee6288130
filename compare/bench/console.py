"""What the programs of the benchmark print besides their results."""

from __future__ import annotations

import argparse
import sys
import tempfile
from math import inf
from pathlib import Path
from typing import NoReturn


def progress(text: str) -> None:
    """Write to standard error at once."""
    sys.stderr.write(text)
    sys.stderr.flush()


def usage_error(text: str, program: str = "bench") -> NoReturn:
    """Print one line and exit with status 2."""
    progress(f"{program}: {text}\n")
    raise SystemExit(2)


def positive(text: str) -> float:
    """The type of an option of argparse."""
    number = float(text)
    if not 0 < number < inf:
        raise argparse.ArgumentTypeError(f"{text!r}: must be greater than 0")
    return number


def positive_integer(text: str) -> int:
    """The type of an option of argparse."""
    return int(positive(str(int(text))))


def check_writable(folder: Path, program: str = "bench") -> None:
    """Exit with status 2 if nothing can be written there: before a long run, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        usage_error(f"cannot write results to {folder}: {error.strerror}", program)


def check_committed(commit: str, program: str = "bench") -> None:
    """Exit with status 2 in a checkout with uncommitted changes: a page names the commit that it measures."""
    if commit.endswith("-dirty"):
        usage_error(
            "the checkout has uncommitted changes, so the page could not name what it measures: "
            "commit them, or pass --output",
            program,
        )
