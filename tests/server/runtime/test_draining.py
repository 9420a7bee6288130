"""Draining: how long an idle connection is waited for."""

from __future__ import annotations

import time

import pytest

from ropewalk.runtime import draining
from ropewalk.runtime.draining import IDLE_GRACE
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET


class FastTime:
    """Time for `draining` alone, in which sleeping is counted and takes next to nothing."""

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(0.001)

    def monotonic(self) -> float:
        return time.monotonic() + self.slept


@pytest.fixture
def fast_time(monkeypatch: pytest.MonkeyPatch) -> FastTime:
    fake = FastTime()
    monkeypatch.setattr(draining, "time", fake)
    return fake


def test_an_embedded_server_waits_for_no_client_that_keeps_a_connection(talk: Talk, fast_time: FastTime) -> None:
    server = talk.serve(answering())
    client = talk.connect(server)
    client.send(GET)
    client.read_response()
    server.stop()
    assert client.read_all() == b""
    assert fast_time.slept < IDLE_GRACE / 2


def test_a_worker_gives_a_fresh_connection_time_for_its_request(talk: Talk, fast_time: FastTime) -> None:
    server = talk.serve_as_worker(answering())
    client = talk.connect(server)
    began = fast_time.monotonic()
    server.service.drain(began + 60)
    assert client.read_all() == b""
    assert fast_time.monotonic() - began >= IDLE_GRACE
