"""Processes that the application forks: what they must not share with the server that they come from.

An application may fork in the middle of a request (`os.fork`, `multiprocessing`, `pty`). The child inherits the
listening sockets, every client's connection, the epoll and the descriptor to which signals are written. Left alone, it
would keep ports and connections open, pass its signals on to the worker, and go on as one more thread of the pool: a
request would get two responses. So each part of the server registers a callback that gives up what is the server's own;
the callbacks run in each forked child, before anything else does.

A master has callbacks as well: a hook may fork in it, and so may an application that it loads (`--preload`).

It runs for forks that Python makes. A library in C that forks without telling Python gets no callbacks, nor does a
process that executes another program, whose descriptors are closed anyway.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import NoReturn

from ropewalk import interruptions
from ropewalk.portable import register_at_fork

_callbacks: list[Callable[[], None]] = []
_masks: dict[int, set[int]] = {}
"""By thread that forks: its signal mask before the fork."""

_is_installed = False


def on_fork(callback: Callable[[], None]) -> None:
    """Call `callback` in each child that this process forks from now on, the latest first.

    Signals are blocked meanwhile. Exceptions are suppressed: the rest has to be given up all the same.
    """
    global _is_installed
    if not _is_installed:
        _is_installed = True
        register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    _callbacks.append(callback)


def cancel(callback: Callable[[], None]) -> None:
    """Undo `on_fork`, if it was called with `callback` in this process."""
    with suppress(ValueError):
        _callbacks.remove(callback)


def fork() -> int:
    """As os.fork, for a process of the server's own: the callbacks do not run, and the child begins without them.

    By the main thread, while it is the only one.
    """
    callbacks = _callbacks.copy()
    _callbacks.clear()
    try:
        pid = os.fork()
    except OSError:
        _callbacks.extend(callbacks)
        raise
    if pid:
        _callbacks.extend(callbacks)
    return pid


def exit_child(error: BaseException | None = None) -> NoReturn:
    """End a forked child that came back from the application, as the interpreter would have ended it.

    Exit functions do not run: they are the parent's.
    """
    code = error.code if isinstance(error, SystemExit) else None
    status = code if isinstance(code, int) else 0 if code is None else 1
    with suppress(Exception):
        if isinstance(code, str):
            sys.stderr.write(f"{code}\n")
        if error is not None and not isinstance(error, SystemExit):
            status = 1
            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status & 0xFF)


def _before() -> None:
    # A signal that came between the fork and the callbacks would be written to the worker's descriptor.
    if _callbacks:
        interruptions.enter_fork()  # cut short, this would leave the signals blocked
        _masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _in_parent() -> None:
    if get_ident() in _masks:
        _unblock()
        interruptions.leave_fork()


def _unblock() -> None:
    mask = _masks.pop(get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    interruptions.forget_all()
    for callback in reversed(_callbacks):
        with suppress(Exception):
            callback()
    _callbacks.clear()
    _unblock()
