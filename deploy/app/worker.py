#!/opt/venv/bin/python -I
"""Becomes the program in a variable, such as the worker of a queue: WORKER_COMMAND="python manage.py rqworker default"

    worker.py NAME      NAME is the variable: WORKER_COMMAND, SCHEDULER_COMMAND

The command is quoted as in a shell, and variables may precede it, as in a Procfile: LEVEL=info rq worker. It is run
without a shell, so that the program itself receives SIGTERM. Exit status 2 and one line if it cannot be started.
"""

import os
import re
import sys
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parent))  # isolated: Python has not put it there

import command_words

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def main(name: str = "WORKER_COMMAND") -> NoReturn:
    command = os.environ.get(name, "")
    try:
        words = command_words.split(command)
        while (match := _VARIABLE.fullmatch(words[0])) and words[1:]:
            os.environ[match[1]] = match[2]
            del words[0]
        os.execvp(words[0], words)
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        sys.exit(say(f"{name}={command!r}: {reason}"))


def say(text: str) -> int:
    sys.stderr.write(f"worker: {text}\n")
    return 2


if __name__ == "__main__":
    main(*sys.argv[1:])
