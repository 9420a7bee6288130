"""Real processes for the tests: started, watched by their lines and their ends, and gone when the test is over."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 20.0
"""Seconds that a test waits for anything: far more than it takes, so that only a fault runs into it."""


class Running:
    """A process of its own session, whose standard error (and output) is read line by line."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """What it wrote so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_lines(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """The first `count` places in the output that match; waits for them."""

        def found() -> list[re.Match[str]] | None:
            matches = list(re.finditer(pattern, "".join(self._lines)))
            return matches[:count] if len(matches) >= count else None

        with self._changed:
            matches = self._changed.wait_for(found, PATIENCE)
        assert matches, f"{count} of {pattern!r} awaited in:\n{self.output}"
        return matches

    def wait_line(self, pattern: str) -> re.Match[str]:
        """The first place in the output that matches; waits for it."""
        return self.wait_lines(pattern)[0]

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_exit(self) -> int:
        """The exit status; waits for the end."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def close(self) -> list[int]:
        """End it and whatever is left of its session; the processes that outlived it for no reason."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)
        left = [pid for pid in _session(self.pid) if not wait_end(pid, 5)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return left

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()


def wait_end(pid: int, seconds: float = PATIENCE) -> bool:
    """Whether the process, any, has ended within that time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def wait_until(condition: Callable[[], object], what: str, interval: float = 0.01) -> None:
    """Wait for something that nothing announces, looking every `interval` seconds; fails after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        pause.wait(interval)


def _session(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            # proc(5): state, parent, process group, session.
            if fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(entry.name))
    return found


Starter = Callable[..., Running]
"""`start(*command, cwd=…, env=…)`, the fixture."""
