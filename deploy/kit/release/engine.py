"""Calls docker. Each call has a time limit, and ends with the deployment: when that is interrupted, and when it dies.

The programs are in process groups of their own, so that Ctrl-C reaches this process alone, which decides what it means.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kit.paths import ROOT
from kit.release.errors import ReleaseError
from kit.release.signals import Signals

TICK = 0.1  # seconds between two looks at signals, deadline and `meanwhile`
KEPT = 256 * 1024  # octets of what a program prints, from the end
TERM_PATIENCE = 5.0  # seconds from SIGTERM to SIGKILL
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Done(NamedTuple):
    status: int
    output: str
    """Standard output, and for `show` standard error too."""
    errors: str

    @property
    def reason(self) -> str:
        """The last line that it printed, for an error in one line."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        return lines[-1].removeprefix("Error response from daemon: ") if lines else f"exit status {self.status}"


class Engine:
    def __init__(self, environment: Mapping[str, str], signals: Signals, show: Callable[[bytes], None]) -> None:
        self.environment = dict(environment)
        self.signals = signals
        self._show = show
        """Shows what a program prints that runs for long."""

    def run(
        self,
        *arguments: str,
        timeout: float = 60,
        show: bool = False,
        environment: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Done:
        """`docker ARGUMENTS`. `meanwhile` is called again and again until it ends, and may raise.

        Raises ReleaseError if it takes longer than `timeout`, InterruptedByUser.
        """
        self.signals.check()
        variables = self.environment | dict(environment or {})
        with self._start(["docker", *arguments], variables, show=show) as process:
            try:
                return self._follow(process, arguments, time.monotonic() + timeout, meanwhile, show=show)
            finally:
                _end(process)

    def output(self, *arguments: str, timeout: float = 60) -> str:
        """What it prints. Raises ReleaseError if it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.status:
            raise ReleaseError(f"docker {' '.join(arguments[:2])}: {done.reason}")
        return done.output.strip()

    def succeeds(self, *arguments: str, timeout: float = 60) -> bool:
        return self.run(*arguments, timeout=timeout).status == 0

    def together(self, calls: Sequence[Sequence[str]], timeout: float) -> list[Done]:
        """Several calls at the same time. Raises ReleaseError if one takes longer than `timeout`."""
        deadline = time.monotonic() + timeout
        with contextlib.ExitStack() as started:
            processes = []
            for call in calls:
                process = started.enter_context(self._start(["docker", *call], self.environment, show=False))
                started.callback(_end, process)
                processes.append((process, call))
            return [self._follow(process, call, deadline, None, show=False) for process, call in processes]

    def _start(self, command: list[str], environment: Mapping[str, str], *, show: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if show else subprocess.PIPE,
            process_group=0,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        arguments: Sequence[str],
        deadline: float,
        meanwhile: Callable[[], None] | None,
        *,
        show: bool,
    ) -> Done:
        kept = {process.stdout: b"", process.stderr: b""}
        with selectors.DefaultSelector() as selector:
            for stream in filter(None, kept):
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(TICK):
                    piece = os.read(key.fd, 65536)
                    if not piece:
                        selector.unregister(key.fileobj)
                    elif show:
                        self._show(piece)
                    kept[key.fileobj] = (kept[key.fileobj] + piece)[-KEPT:]  # type: ignore[index]
                self.signals.check()
                if meanwhile:
                    meanwhile()
                if time.monotonic() > deadline:
                    raise ReleaseError(f"docker {' '.join(arguments[:2])} has not ended in time")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 1))
        out, err = (kept[stream].decode(errors="replace") for stream in (process.stdout, process.stderr))
        return Done(process.returncode if process.returncode is not None else -signal.SIGKILL, out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        for number, patience in ((signal.SIGTERM, TERM_PATIENCE), (signal.SIGKILL, TERM_PATIENCE)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
                break


def _end_with_parent() -> None:
    """A deployment that is killed must not go on: docker gets SIGTERM when this process dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
