from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator

import pytest

from ropewalk.process.system.signals import SignalInbox, blocked_signals, name_of


@pytest.fixture
def inbox() -> Iterator[SignalInbox]:
    inbox = SignalInbox([signal.SIGUSR1, signal.SIGUSR2])
    yield inbox
    inbox.close()


def test_signals_are_received_in_their_order(inbox: SignalInbox) -> None:
    signal.raise_signal(signal.SIGUSR2)
    signal.raise_signal(signal.SIGUSR1)
    assert inbox.receive() == [signal.SIGUSR2, signal.SIGUSR1]
    assert inbox.receive() == []


def test_wake_makes_the_inbox_readable_without_a_signal(inbox: SignalInbox) -> None:
    inbox.wake()
    assert select.select([inbox], [], [], 0)[0]
    assert inbox.receive() == []


def test_closing_restores_the_handlers() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    inbox = SignalInbox([signal.SIGUSR1])
    assert signal.getsignal(signal.SIGUSR1) is not before
    inbox.close()
    assert signal.getsignal(signal.SIGUSR1) is before


def test_signal_that_the_parent_ignores_is_received_until_the_inbox_is_closed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    inbox = SignalInbox([signal.SIGHUP])
    signal.raise_signal(signal.SIGHUP)
    assert inbox.receive() == [signal.SIGHUP]
    inbox.close()
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_blocked_signals_arrive_afterwards(inbox: SignalInbox) -> None:
    with blocked_signals():
        signal.raise_signal(signal.SIGUSR1)
        assert inbox.receive() == []
    assert inbox.receive() == [signal.SIGUSR1]


def test_term_ends_a_child_that_closed_the_inbox_and_int_does_not() -> None:
    inbox = SignalInbox([signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
    child = os.fork()
    if not child:
        inbox.close_in_child()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert inbox.receive() == []  # the child's signals did not reach the parent
    inbox.close()


def test_names_of_signals() -> None:
    assert name_of(15) == "SIGTERM"
    assert name_of(200) == "signal 200"
