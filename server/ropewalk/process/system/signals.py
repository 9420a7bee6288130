"""Signals as bytes of a socket, so that a loop around `poll` meets them like anything else.

Python's C handler writes each signal's number to the socket (`signal.set_wakeup_fd`); the handlers in Python do
nothing. So no code of ours ever runs in the middle of other code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from types import FrameType

MASTER_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGWINCH,
    signal.SIGCHLD,
)

WORKER_SIGNALS = tuple(number for number in MASTER_SIGNALS if number not in (signal.SIGCHLD, signal.SIGWINCH))
"""A worker's children are the application's own, and so is its terminal."""

MAX_SIGNALS_A_READ = 4096


class SignalInbox:
    """The signals that this process got, in their order. Main thread only; `wake` may be called by any."""

    def __init__(self, signals: Iterable[int]) -> None:
        """Take over `signals`, also one that the parent ignores: HUP reloads a server that nohup started, too."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # A full socket loses a wake-up, never a signal that matters: the loop is awake then anyhow.
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {}
        for number in signals:
            self._old_handlers[number] = signal.signal(number, _do_nothing)

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reader.fileno()

    def receive(self) -> list[int]:
        """The numbers of the signals since the last call; a `wake` is no signal."""
        try:
            return [number for number in self._reader.recv(MAX_SIGNALS_A_READ) if number]
        except BlockingIOError:
            return []

    def wake(self) -> None:
        """Make the descriptor readable."""
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def abandon(self) -> None:
        """Undo the parent's inbox in a forked child, while signals are blocked.

        TERM then ends the child, which is still booting. The others do nothing to it: a terminal sends INT and
        QUIT to master and worker alike, and the master decides.
        """
        signal.set_wakeup_fd(-1)
        for number in self._old_handlers:
            signal.signal(number, signal.SIG_DFL if number in _DEFAULT_IN_A_CHILD else signal.SIG_IGN)
        self._reader.close()
        self._writer.close()

    def close(self, *, is_process_ending: bool = False) -> None:
        """Give the signals back as they were found; or leave them without effect while the process ends."""
        if not is_process_ending:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_descriptor)
        self._reader.close()
        self._writer.close()


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Hold every signal back; for a fork, whose child must not answer as if it were the parent."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def name_of(number: int) -> str:
    """`SIGTERM` for 15."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def how_it_ended(status: int) -> str:
    """What became of a process with this wait status: `exited with status 3`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with status {code}"
    hint = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
    return f"was ended by {name_of(-code)}{hint}"


_DEFAULT_IN_A_CHILD = (signal.SIGTERM, signal.SIGCHLD)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """The handler in Python: its only use is that Python's C handler is installed."""
