"""Questions of a master to a worker, over a pair of sockets, and the thread that answers."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.process.ipc.channel import Channel, start_answering


def fail() -> None:
    raise ZeroDivisionError


@pytest.fixture
def channel() -> Iterator[Channel]:
    masters, workers = socket.socketpair()
    thread = start_answering(
        workers, {"status": lambda: {"counters": {"a": 1}}, "big": lambda: "x" * 300_000, "fail": fail}
    )
    channel = Channel(masters)
    yield channel
    channel.close()
    thread.join()


def answers(channel: Channel, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        assert select.select([channel], [], [], 20)[0]
        found += channel.read()
    return found


def test_a_question_is_answered_with_its_number(channel: Channel) -> None:
    assert channel.ask(7, "status")
    assert answers(channel, 1) == [{"id": 7, "answer": {"counters": {"a": 1}}}]


def test_questions_are_answered_in_their_order(channel: Channel) -> None:
    assert all(channel.ask(number, name) for number, name in enumerate(("big", "status", "big")))
    assert [answer["id"] for answer in answers(channel, 3)] == [0, 1, 2]


@pytest.mark.parametrize("question", ["fail", "unknown"])
def test_what_cannot_be_answered_is_null_and_the_thread_goes_on(
    channel: Channel, question: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert channel.ask(1, question)
    assert channel.ask(2, "status")
    assert [answer["answer"] is None for answer in answers(channel, 2)] == [True, False]
    assert ("ZeroDivisionError" in capfd.readouterr().err) is (question == "fail")


def test_a_worker_that_is_gone_is_noticed() -> None:
    masters, workers = socket.socketpair()
    channel = Channel(masters)
    workers.close()
    assert channel.read() == []
    assert not channel.is_open
    assert not channel.ask(1, "status")
    channel.close()


def test_a_worker_that_reads_nothing_is_not_waited_for() -> None:
    masters, workers = socket.socketpair()
    channel = Channel(masters)
    number = 0
    while channel.ask(number, "status"):
        number += 1
        assert number < 1_000_000
    channel.close()
    workers.close()


def test_the_thread_ends_with_the_channel(wait_for: Callable[..., None]) -> None:
    masters, workers = socket.socketpair()
    thread = start_answering(workers, {})
    masters.close()
    thread.join(20)
    assert thread not in threading.enumerate()
