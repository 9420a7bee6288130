"""deploy/app/waking_poller.py: supervisord does not wait when there is something to do."""

import os
import signal

import pytest
from supervisor.poller import PollPoller

from waking_poller import WakingPoller


@pytest.fixture
def waits(monkeypatch):
    """How long each wait may take, instead of waiting for it: 0 if something is ready already."""
    waits = []
    poll = PollPoller.poll

    def record(self, timeout):
        found = poll(self, 0)
        waits.append(timeout if not found[0] else 0)
        return found

    monkeypatch.setattr(PollPoller, "poll", record)
    return waits


@pytest.fixture
def poller():
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGUSR2, signal.SIGALRM)}
    made = WakingPoller(None)
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.close(made._reading)
    os.close(made._writing)


def test_first_wait_ends_at_once_and_the_others_do_not(poller, waits):
    for _ in range(3):
        assert poller.poll(1) == ([], [])
    assert waits == [0, 1, 1]


def test_signal_ends_the_wait_and_the_one_after_it(poller, waits):
    poller.poll(1)
    os.kill(os.getpid(), signal.SIGUSR2)
    for _ in range(3):
        assert poller.poll(1) == ([], [])
    assert waits == [0, 0, 0, 1]


def test_signal_during_the_wait_ends_it(poller):
    """In supervisord's own wait, the real one."""
    poller.poll(1)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert poller.poll(60) == ([], [])


def test_each_signal_has_its_turn(poller, waits):
    poller.poll(1)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR2)
    for _ in range(5):
        poller.poll(1)
    assert waits == [0, 0, 0, 0, 0, 1]


def test_what_supervisord_itself_reads_is_passed_on(poller):
    reading, writing = os.pipe()
    os.write(writing, b"x")
    poller.register_readable(reading)
    assert poller.poll(1) == ([reading], [])
    os.close(reading)
    os.close(writing)


def test_descriptors_that_are_closed_at_a_start_are_not_missed(poller):
    """supervisord closes all when it is reloaded, and makes another poller."""
    poller.poll(0)
    os.close(poller._reading)
    os.close(poller._writing)
    again = WakingPoller(None)
    os.kill(os.getpid(), signal.SIGUSR2)  # with the closed one, an error of the interpreter
    again.poll(0)
    poller._reading, poller._writing = again._reading, again._writing
