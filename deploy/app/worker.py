#!/opt/venv/bin/python -I
"""Becomes the program in WORKER_COMMAND, such as the worker of a queue: python manage.py rqworker default

The command is quoted as in a shell, but is run without one, so that the program itself receives SIGTERM. Exit status 2
and one line if it cannot be started.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parent))  # isolated: Python has not put it there

import command_words


def main() -> NoReturn:
    command = os.environ.get("WORKER_COMMAND", "")
    try:
        words = command_words.split(command)
        os.execvp(words[0], words)
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        sys.exit(say(f"WORKER_COMMAND={command!r}: {reason}"))


def say(text: str) -> int:
    sys.stderr.write(f"worker: {text}\n")
    return 2


if __name__ == "__main__":
    main()
