"""A pytest plugin: the processes that tests start get default signals, however pytest itself was started."""

from __future__ import annotations

import os
import signal


def pytest_configure() -> None:
    """Handle each signal that this process ignores, and unblock those that it blocks.

    `nohup` ignores SIGHUP and a shell's `&` SIGINT and SIGQUIT. A child inherits that, but not a handler: so this
    process stays as immune as it was, and what it starts is not. (`subprocess` restores SIGPIPE itself.) A process of
    pytest-xdist, which cannot know how pytest was started, leaves it to pytest to end at a hangup.
    """
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN}
    if "PYTEST_XDIST_WORKER" in os.environ:
        ignored.add(signal.SIGHUP)
    for number in ignored - {signal.SIGPIPE, signal.SIGXFSZ}:  # which Python itself ignores
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
