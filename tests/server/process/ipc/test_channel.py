"""Queries of a master to a worker, over a socket pair, and the thread that responds."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ropewalk.process.ipc.channel import Channel, start_responder


def fail() -> None:
    raise ZeroDivisionError


@pytest.fixture
def channel() -> Iterator[Channel]:
    masters, workers = socket.socketpair()
    thread = start_responder(
        workers, {"status": lambda: {"counters": {"a": 1}}, "big": lambda: "x" * 300_000, "fail": fail}
    )
    channel = Channel(masters)
    yield channel
    channel.close()
    thread.join()


def read_results(channel: Channel, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        assert select.select([channel], [], [], 20)[0]
        found += channel.read_results()
    return found


def test_result_has_the_number_of_its_query(channel: Channel) -> None:
    assert channel.send_query(7, "status")
    assert read_results(channel, 1) == [{"id": 7, "result": {"counters": {"a": 1}}}]


def test_results_come_in_the_order_of_the_queries(channel: Channel) -> None:
    assert all(channel.send_query(number, name) for number, name in enumerate(("big", "status", "big")))
    assert [result["id"] for result in read_results(channel, 3)] == [0, 1, 2]


@pytest.mark.parametrize("name", ["fail", "unknown"])
def test_query_that_fails_results_in_null_and_the_thread_goes_on(
    channel: Channel, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert channel.send_query(1, name)
    assert channel.send_query(2, "status")
    assert [result["result"] is None for result in read_results(channel, 2)] == [True, False]
    assert ("ZeroDivisionError" in capfd.readouterr().err) is (name == "fail")


def test_worker_that_is_gone_is_noticed() -> None:
    masters, workers = socket.socketpair()
    channel = Channel(masters)
    workers.close()
    assert channel.read_results() == []
    assert not channel.is_open
    assert not channel.send_query(1, "status")
    channel.close()


def test_worker_that_reads_nothing_does_not_block_the_master() -> None:
    masters, workers = socket.socketpair()
    channel = Channel(masters)
    number = 0
    while channel.send_query(number, "status"):
        number += 1
        assert number < 1_000_000
    channel.close()
    workers.close()


def test_responder_ends_with_the_channel(wait_for: Callable[..., None]) -> None:
    masters, workers = socket.socketpair()
    thread = start_responder(workers, {})
    masters.close()
    thread.join(20)
    assert thread not in threading.enumerate()
