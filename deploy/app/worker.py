#!/opt/venv/bin/python -I
"""Becomes the program in WORKER_COMMAND, such as the worker of a queue: python manage.py rqworker default

The command is quoted as in a shell, but is run without one, so that the program itself receives SIGTERM. Exit status 2
and one line if it cannot be started.
"""

import os
import shlex
import sys
from typing import NoReturn


def words_of(command: str) -> list[str]:
    """Raises ValueError for a quote that is not closed, and for nothing at all."""
    words = shlex.split(command)
    if not words:
        raise ValueError("must be a command, such as: python manage.py rqworker default")
    return words


def main() -> NoReturn:
    command = os.environ.get("WORKER_COMMAND", "")
    try:
        words = words_of(command)
        os.execvp(words[0], words)
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).lower()
        sys.exit(say(f"WORKER_COMMAND={command!r}: {reason}"))


def say(text: str) -> int:
    sys.stderr.write(f"worker: {text}\n")
    return 2


if __name__ == "__main__":
    main()
