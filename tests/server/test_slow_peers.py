"""Slow peers by the hundreds: each costs some memory and no thread, and everybody else is served beside them."""

from __future__ import annotations

from typing import Any

import pytest
from talking import Talk


def test_no_answer_waits_for_somebody_elses_event(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that polls sees no queue: whoever leaves something in one stays, or calls another."""
    monkeypatch.setattr("ropewalk.threads.pool.SWEEP_INTERVAL", 1000)  # so that only an event ends a poll
    parts = [b"x" * 100_000] * 200

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return list(parts)  # joining them takes as long as it takes until another thread is called

    client = talk.connect(talk.serve(application, threads=1))
    for _ in range(30):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        left = 20_000_000 - len(client.received)
        client.received = b""
        while left:
            left -= len(client.sock.recv(min(left, 1_000_000)))
