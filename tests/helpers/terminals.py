"""A program on a terminal of its own: a pseudo-terminal that controls its session, as that of a shell does."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.helpers.processes import PATIENCE, wait_until

CTRL_C = b"\x03"
_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


class OnTerminal:
    """A process whose three streams are one terminal. What it wrote is read by a thread."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        """`env` is the whole environment: colors depend on variables that the tests' own may have."""
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            try:
                os.chdir(cwd)
                os.execvpe(command[0], list(command), env)
            finally:
                os._exit(127)
        self._is_open = True
        self._hangs_up, self._hang_up = os.pipe()  # not an eventfd, which some tests hide
        self._octets = b""
        self._changed = threading.Condition()
        self._status: int | None = None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        """What it wrote so far, with the colors."""
        with self._changed:
            return self._octets.decode().replace("\r\n", "\n")

    @property
    def text(self) -> str:
        """What it wrote so far, without the colors."""
        return _SEQUENCE.sub("", self.output)

    def wait_text(self, pattern: str) -> re.Match[str]:
        """The first place in the text that matches; waits for it."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not (match := re.search(pattern, self.text)):
                assert self._changed.wait(deadline - time.monotonic()), f"{pattern!r} awaited in:\n{self.text}"
        return match

    def press(self, key: bytes) -> None:
        os.write(self._terminal, key)

    def hang_up(self) -> None:
        """Close the terminal, as who closes its window."""
        os.write(self._hang_up, b"x")
        self._reader.join(PATIENCE)  # while it reads, the kernel keeps the terminal
        os.close(self._terminal)
        self._is_open = False

    def has_ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status is not None

    def wait_exit(self) -> int:
        """The exit status; waits for the end."""
        wait_until(self.has_ended, f"the end of {self.pid}")  # no pidfd: some tests hide it
        assert self._status is not None
        self._reader.join(PATIENCE)
        return self._status

    def close(self) -> None:
        """End it, by what a terminal that is closed does to its programs if nothing else has."""
        if self._status is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.wait_exit()
        if self._is_open:
            os.close(self._terminal)
        os.close(self._hangs_up)
        os.close(self._hang_up)

    def _read(self) -> None:
        while self._hangs_up not in select.select([self._terminal, self._hangs_up], [], [])[0]:
            try:
                octets = os.read(self._terminal, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                return
            with self._changed:
                self._octets += octets
                self._changed.notify_all()
