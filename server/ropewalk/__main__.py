"""The command `ropewalk`, and `python -m ropewalk`."""

from __future__ import annotations

import sys

INTERRUPTED_STATUS = 130
"""As a shell reports a program that SIGINT has ended."""


def main() -> int:
    """Run the command; returns its exit status, for Ctrl-C before the master has taken over the signals too."""
    try:
        from ropewalk.cli.main import main as run  # here, since Ctrl-C may come while that is imported

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED_STATUS


if __name__ == "__main__":
    sys.exit(main())
