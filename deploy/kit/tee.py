"""Runs a program whose output is both shown and kept: on a terminal it has a terminal of its own."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

KEPT = 256 * 1024  # octets, from the end


def call(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """The exit status and the end of what it printed. Ctrl-C is left to the program, and this process waits for it."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        reading, writing = pty.openpty() if sys.stdout.isatty() else os.pipe()
        if sys.stdout.isatty():
            size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(writing, termios.TIOCSWINSZ, size)
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=writing, stderr=writing) as process:
            os.close(writing)
            output = _copy(reading)
        return process.returncode, output
    finally:
        signal.signal(signal.SIGINT, before)


def _copy(reading: int) -> str:
    kept = b""
    with os.fdopen(reading, "rb", buffering=0) as source:
        while True:
            try:
                piece = source.read(65536)
            except OSError:  # a terminal without a writer
                break
            if not piece:
                break
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            kept = (kept + piece)[-KEPT:]
    return kept.decode(errors="replace")
