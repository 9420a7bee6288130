"""Calls docker. Each call has a time limit, and ends with the deployment: when that is interrupted, and when it dies.

The programs are in process groups of their own, so that Ctrl-C reaches this process alone, which decides what it means.
"""

import contextlib
import ctypes
import fcntl
import os
import pty
import re
import selectors
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, ClassVar, NamedTuple

from kit.paths import ROOT
from kit.release.errors import ConnectionLost, ReleaseError
from kit.release.signals import Signals

TICK = 0.1  # seconds between two looks at signals, deadline and `meanwhile`
LOST = re.compile(r"^error during connect: |^Cannot connect to the Docker daemon|failed to connect to the docker API")
"""How docker's last line begins if the engine is gone."""
SSH_LOST = re.compile(r"command \[ssh .*\] has exited with ")
"""What docker's last line has in it if the connection is; its end is `stderr=` and what ssh said."""
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
    program: ClassVar[str] = "docker"
    kept: ClassVar[int] = KEPT
    options: tuple[str, ...] = ()
    """Given to the program with each call."""

    def __init__(
        self,
        environment: Mapping[str, str],
        signals: Signals,
        show: Callable[[bytes], None],
        *,
        has_terminal: bool = False,
    ) -> None:
        self.environment = dict(environment)
        self.signals = signals
        self._show = show
        """Shows what a program prints that runs for long."""
        self._has_terminal = has_terminal
        """Such a program has a terminal of its own then, and shows its progress as it does on one."""

    def run(
        self,
        *arguments: str,
        timeout: float = 60,
        show: bool | Callable[[bytes], None] = False,
        merge: bool = False,
        environment: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Done:
        """`docker ARGUMENTS`. `meanwhile` is called again and again until it ends, and may raise.

        What it prints on both streams is one text with `merge`, and with `show`, which shows it too, or is called with
        each piece.

        Raises ReleaseError if it takes longer than `timeout`, ConnectionLost, InterruptedByUser.
        """
        self.signals.check()
        shown = show if callable(show) else self._show if show else None
        has_terminal = show is True and self._has_terminal
        is_merged = merge or shown is not None
        with self._started(arguments, environment or {}, shown, merge=is_merged, has_terminal=has_terminal) as program:
            return self._follow(program, time.monotonic() + timeout, meanwhile)

    def output(self, *arguments: str, timeout: float = 60) -> str:
        """What it prints. Raises ReleaseError if it fails."""
        done = self.run(*arguments, timeout=timeout)
        if done.status:
            raise ReleaseError(f"{self.program} {' '.join(arguments[:2])}: {done.reason}")
        return done.output.strip()

    def succeeds(self, *arguments: str, timeout: float = 60) -> bool:
        return self.run(*arguments, timeout=timeout).status == 0

    def together(self, calls: Sequence[Sequence[str]], timeout: float) -> list[Done]:
        """Several calls at the same time. Raises ReleaseError if one takes longer than `timeout`."""
        deadline = time.monotonic() + timeout
        with contextlib.ExitStack() as stack:
            programs = [stack.enter_context(self._started(call, {})) for call in calls]
            return [self._follow(program, deadline, None) for program in programs]

    @contextlib.contextmanager
    def beside(self, *arguments: str, timeout: float = 60) -> Iterator[Callable[[], Done]]:
        """Runs it at the same time as the block, which calls what it gets to wait for the end."""
        self.signals.check()
        deadline = time.monotonic() + timeout
        with self._started(arguments, {}) as program:
            yield lambda: self._follow(program, deadline, None)

    @contextlib.contextmanager
    def _started(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        show: Callable[[bytes], None] | None = None,
        *,
        merge: bool = False,
        has_terminal: bool = False,
    ) -> Iterator["_Program"]:
        reading, writing = _terminal() if has_terminal else (-1, subprocess.PIPE)
        process = subprocess.Popen(
            [self.program, *self.options, *arguments],
            env=self.environment | dict(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            process_group=0,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        try:
            if reading >= 0:
                os.close(writing)
                process.stdout = os.fdopen(reading, "rb", buffering=0)
            yield _Program(process, arguments, [each for each in (process.stdout, process.stderr) if each], show)
        finally:
            _end(process)
            for stream in filter(None, (process.stdout, process.stderr)):
                stream.close()

    def _follow(self, program: "_Program", deadline: float, meanwhile: Callable[[], None] | None) -> Done:
        name = f"{self.program} {' '.join(program.arguments[:2])}"
        kept = {stream.fileno(): b"" for stream in program.streams}
        with selectors.DefaultSelector() as selector:
            for descriptor in kept:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(TICK):
                    if not (piece := _read(key.fd)):
                        selector.unregister(key.fd)
                    elif program.show:
                        program.show(piece)
                    kept[key.fd] = (kept[key.fd] + piece)[-self.kept :]
                self.signals.check()
                if meanwhile:
                    meanwhile()
                if time.monotonic() > deadline:
                    raise ReleaseError(f"{name} has not ended in time")
        try:
            status = program.process.wait(max(deadline - time.monotonic(), TERM_PATIENCE))
        except subprocess.TimeoutExpired:
            raise ReleaseError(f"{name} has not ended in time") from None
        texts = [text.decode(errors="replace") for text in kept.values()]
        done = Done(status, texts[0], texts[1] if len(texts) > 1 else "")
        if status:
            self._check_connection(done.reason)
        return done

    def _check_connection(self, reason: str) -> None:
        """`reason`: docker's last line. Raises ConnectionLost."""
        host = self.environment.get("DOCKER_HOST", "").partition("ssh://")[2]
        if host and SSH_LOST.search(reason):
            said = reason.rpartition("stderr=")[2].strip() if "stderr=" in reason else ""
            raise ConnectionLost(f"the SSH connection to {host} was lost{said and f': {said}'}")
        if LOST.search(reason):
            raise ConnectionLost(f"the engine cannot be reached any more: {reason}")


class _Program(NamedTuple):
    process: subprocess.Popen[bytes]
    arguments: Sequence[str]
    streams: list[IO[bytes]]
    show: Callable[[bytes], None] | None


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # a terminal without a writer
        return b""


def _terminal() -> tuple[int, int]:
    """Both ends of a terminal of the size of this one."""
    reading, writing = pty.openpty()
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(writing, termios.TIOCSWINSZ, size)
    return reading, writing


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
