"""What a deployment prints: lines for people, with the time of each step, or one JSON object per line for programs."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kit.console import step


class Output:
    """A terminal that is gone is no error: the deployment then goes on without a word, and undoes what it has to."""

    def __init__(self, command: str, *, is_json: bool = False) -> None:
        self.command = command
        self.is_json = is_json
        self._began = time.monotonic()
        self.is_live = not is_json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        """A terminal, whose lines can change."""
        self._has_live_line = False

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Announces the step, and says at its end how long it took."""
        began = time.monotonic()
        self._event(text, step=name, state="started")
        try:
            yield
        except BaseException:
            self._event("", step=name, state="failed", seconds=_seconds(began))
            raise
        self._event(f"    {time.monotonic() - began:.1f} s", step=name, state="done", seconds=_seconds(began))

    def waiting(self, began: float, text: str) -> None:
        """On a terminal: a line that changes while a step waits."""
        if self.is_live:
            self._has_live_line = True
            self._write(f"\r\033[K    {time.monotonic() - began:.0f} s: {text}", end="")

    def note(self, text: str, **values: Any) -> None:
        self._event(text, note=text, **values)

    def result(self, text: str, **values: Any) -> None:
        """The last line of a command that succeeded."""
        seconds = time.monotonic() - self._began
        self._event(f"{text}  ({seconds:.1f} s)", state="succeeded", seconds=round(seconds, 3), result=text, **values)

    def failure(self, lines: list[str], reason: str, advice: list[str]) -> None:
        """The last lines of what failed, the reason in one line, then what to do."""
        if self.is_json:
            self._event("", state="failed", reason=reason, lines=lines, advice=advice, seconds=_seconds(self._began))
        self._clear()
        for line in lines:
            self._complain(f"    {line}")
        self._complain(f"{self.command}: {reason}")
        for line in advice:
            self._complain(line)

    def line(self, text: str) -> None:
        """One line that belongs to no event; with JSON, on standard error."""
        self.show(f"{text}\n".encode())

    def show(self, piece: bytes) -> None:
        """What a program prints, as it comes; with JSON, on standard error."""
        self._clear()
        stream = sys.stderr if self.is_json else sys.stdout
        try:
            stream.flush()
            stream.buffer.write(piece)
            stream.buffer.flush()
        except OSError:
            _mute()

    def _event(self, text: str, **values: Any) -> None:
        self._clear()
        if self.is_json:
            self._write(json.dumps({"command": self.command, "time": round(time.time(), 3), **values}))
        elif text.startswith(" "):
            self._write(text)
        elif text:
            try:
                step(text)
            except OSError:
                _mute()

    def _clear(self) -> None:
        if self._has_live_line:
            self._has_live_line = False
            self._write("\r\033[K", end="")

    def _write(self, text: str, end: str = "\n") -> None:
        try:
            print(text, end=end, flush=True)
        except OSError:
            _mute()

    def _complain(self, text: str) -> None:
        try:
            print(text, file=sys.stderr, flush=True)
        except OSError:
            _mute()


def _seconds(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _mute() -> None:
    """The terminal or the pipe is gone: what is printed from now on goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
