"""Queries to workers, over real channels: complete, late, or never answered; and the counters of workers that exit."""

from __future__ import annotations

import json
import os
import select
import socket
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from ropewalk.control import inquiries
from ropewalk.control.inquiries import ControlHub
from ropewalk.metrics.counters import no_counters
from ropewalk.metrics.snapshot import Counters, MasterStatus, ServerStatus
from ropewalk.process.ipc.channel import Channel
from ropewalk.process.ipc.reports import ReportReader
from ropewalk.process.master.api import MasterApi
from ropewalk.process.master.worker_handle import WorkerHandle
from tests.helpers.statuses import server_status


class Worker:
    """A worker's handle, and the worker's end of its channel."""

    def __init__(self, pid: int) -> None:
        reading_end, writing_end = os.pipe()
        os.close(writing_end)
        channel, self.end = socket.socketpair()
        self.end.settimeout(20)
        self.handle = WorkerHandle(pid, ReportReader(reading_end), 0.0, Channel(channel))

    def reply(self, result: object) -> None:
        """Send a result for the query that has come."""
        query = json.loads(self.end.makefile("rb").readline())
        self.end.sendall(json.dumps({"id": query["id"], "result": result}).encode() + b"\n")

    def close(self) -> None:
        self.handle.release()
        self.end.close()


class Workers:
    """A master of two workers, 8 and 10 of `server_status`."""

    def __init__(self) -> None:
        self.first, self.second = Worker(8), Worker(10)
        self.all = [self.first, self.second]

    def workers(self) -> list[WorkerHandle]:
        return [worker.handle for worker in self.all]

    def status(self) -> MasterStatus:
        parts = {name: value for name, value in server_status().items() if name in MasterStatus.__annotations__}
        return cast("MasterStatus", parts)


@pytest.fixture
def master() -> Iterator[Workers]:
    master = Workers()
    workers = [master.first, master.second]
    yield master
    for worker in workers:
        worker.close()


@pytest.fixture
def hub(master: Workers) -> ControlHub:
    hub = ControlHub(version="2", build="compiled")
    hub.attach(cast("MasterApi", master))
    return hub


def handle_events(hub: ControlHub, master: Workers) -> None:
    """What the master's loop does once a worker has replied."""
    channels = [worker.handle.channel for worker in master.all if worker.handle.channel is not None]
    ready = select.select(channels, [], [], 20)[0]
    hub.handle_events({channel.fileno() for channel in ready})


def counters(requests: int) -> Counters:
    return {**no_counters(), "responses": {**no_counters()["responses"], "2xx": requests}}


def snapshot(requests: int) -> dict[str, Any]:
    gauges = {
        "in_flight": requests,
        "streaming": 0,
        "waiting": 0,
        "threads": {"active": 1, "parked": 0, "limit": 1},
        "connections": {},
        "waiting_for_clients": 0,
        "buffered_bytes": {},
    }
    return {"counters": counters(requests), "gauges": gauges, "running": []}


def test_query_is_complete_when_every_worker_has_replied(hub: ControlHub, master: Workers) -> None:
    results: list[Mapping[int, Any]] = []
    hub.ask_workers("stacks", results.append)
    master.second.reply("b")
    handle_events(hub, master)
    assert results == []
    master.first.reply("a")
    handle_events(hub, master)
    assert results == [{8: "a", 10: "b"}]
    assert hub.seconds_until_due(0.0) is None


def test_query_without_workers_is_complete_at_once(hub: ControlHub, master: Workers) -> None:
    master.all = []
    results: list[Mapping[int, Any]] = []
    hub.ask_workers("stacks", results.append)
    assert results == [{}]


def test_query_waits_no_longer_than_its_time(hub: ControlHub, master: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Mapping[int, Any]] = []
    monkeypatch.setattr(inquiries, "QUERY_SECONDS", 0.0)
    hub.ask_workers("stacks", results.append)
    hub.handle_events(set())
    assert results == [{8: None, 10: None}]


def test_query_does_not_wait_for_a_worker_that_has_exited(hub: ControlHub, master: Workers) -> None:
    results: list[Mapping[int, Any]] = []
    hub.ask_workers("stacks", results.append)
    master.first.reply("a")
    master.all.remove(master.second)
    hub.worker_exited(master.second.handle)
    handle_events(hub, master)
    assert results == [{8: "a", 10: None}]


def test_status_adds_up_the_workers_and_those_that_have_exited(hub: ControlHub, master: Workers) -> None:
    exited = Worker(7)
    exited.handle.counters = counters(5)
    hub.worker_exited(exited.handle)
    exited.close()
    statuses: list[ServerStatus] = []
    hub.status(statuses.append)
    master.first.reply(snapshot(1))
    master.second.reply(snapshot(2))
    while not statuses:
        handle_events(hub, master)
    (status,) = statuses
    assert status["version"] == "2"
    assert status["build"] == "compiled"
    assert status["totals"]["responses"]["2xx"] == 8
    assert status["gauges"]["in_flight"] == 3
    replied = {worker["pid"]: worker["snapshot"] is not None for worker in status["workers"]}
    assert replied == {8: True, 9: False, 11: False, 10: True}


def test_worker_that_does_not_reply_keeps_its_part_of_the_totals(
    hub: ControlHub, master: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.second.handle.counters = counters(4)
    statuses: list[ServerStatus] = []
    monkeypatch.setattr(inquiries, "QUERY_SECONDS", 0.0)
    hub.status(statuses.append)
    hub.handle_events(set())
    assert statuses[0]["totals"]["responses"]["2xx"] == 4
    assert statuses[0]["gauges"]["in_flight"] == 0
