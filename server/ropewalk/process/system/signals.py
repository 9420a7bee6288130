"""Signals as bytes of a socket, so that a loop around `poll` receives them like any other event.

Python's C handler writes each signal's number to the socket (`signal.set_wakeup_fd`); the handlers in Python do
nothing. So no code of ours ever runs in the middle of other code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from types import FrameType

_NAMES = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "TTIN", "TTOU", "WINCH", "CHLD")

MASTER_SIGNALS = tuple(signal.Signals[f"SIG{name}"] for name in _NAMES if hasattr(signal, f"SIG{name}"))
"""All of them, except on Windows, which has no master."""

WORKER_SIGNALS = tuple(number for number in MASTER_SIGNALS if number.name not in ("SIGCHLD", "SIGWINCH"))
"""In a worker, children and the terminal belong to the application."""

MAX_SIGNALS_A_READ = 4096


class SignalInbox:
    """The signals that this process received, in their order. Main thread only; any thread may call `wake`."""

    def __init__(self, signals: Iterable[int]) -> None:
        """Take over `signals`, even those that the parent process ignores: HUP reloads a server under nohup, too."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # A full socket loses a wake-up, never a signal that matters: the loop is awake then anyway.
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {}
        for number in signals:
            self._old_handlers[number] = signal.signal(number, _do_nothing)

    def fileno(self) -> int:
        """Readable once a signal has come."""
        return self._reader.fileno()

    def receive(self) -> list[int]:
        """The numbers of the signals since the last call; `wake` adds none."""
        try:
            return [number for number in self._reader.recv(MAX_SIGNALS_A_READ) if number]
        except BlockingIOError:
            return []

    def wake(self) -> None:
        """Make the descriptor readable."""
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def close_in_child(self) -> None:
        """Undo the parent's inbox in a forked child, while signals are blocked.

        TERM then ends the child, which has yet to boot. The others have no effect on it: a terminal sends INT and
        QUIT to master and worker alike, and the master decides.
        """
        signal.set_wakeup_fd(-1)
        for number in self._old_handlers:
            signal.signal(number, signal.SIG_DFL if number in _DEFAULT_IN_A_CHILD else signal.SIG_IGN)
        self._reader.close()
        self._writer.close()

    def release_in_child(self) -> None:
        """Undo the inbox in a process that the application forked: signals have their default effect there.

        A handler that the application has installed since stays.
        """
        for number in self._old_handlers:
            if signal.getsignal(number) is _do_nothing:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def close(self, *, is_process_exiting: bool = False) -> None:
        """Restore the previous handlers; or leave the signals without effect while the process exits."""
        if not is_process_exiting:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_descriptor)
        self._reader.close()
        self._writer.close()


def ignore_handled(signals: Iterable[int]) -> None:
    """Ignore those of `signals` that have a handler in Python; for the end of a process, in its main thread.

    The interpreter's shutdown restores the default effect of such signals. One that a master has sent a moment too late
    would then kill a worker that has done its work.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in signals:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Block every signal; for a fork, whose child must not react as if it were the parent."""
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


def describe_exit(status: int) -> str:
    """How a process with this wait status ended: `exited with status 3`, `was killed by SIGKILL`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exited with status {code}"
    hint = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
    return f"was killed by {name_of(-code)}{hint}"


_DEFAULT_IN_A_CHILD = tuple(number for number in MASTER_SIGNALS if number.name in ("SIGTERM", "SIGCHLD"))


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler in Python, needed only so that Python's C handler is installed."""
