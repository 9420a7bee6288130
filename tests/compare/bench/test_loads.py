"""The loads that do not measure a rate: how work spreads, when a server settles, how long a response is delayed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from bench import measure
from bench.loads import load_change, response_delay, worker_spread
from bench.measure import PROGRAMS, Settings
from bench.paths import COMPARE
from bench.report.tables import COLUMNS
from bench.scenarios import SCENARIOS, Kind
from bench.servers import SERVERS, Start

BY_NAME = {one.name: one for one in SCENARIOS}


@contextmanager
def serving(content: Callable[[], bytes], is_closed: bool = False) -> Iterator[tuple[str, int]]:
    """A server whose connections each get responses with what `content` returns, one byte at a time."""
    threads: list[threading.Thread] = []
    is_over = threading.Event()

    def serve(sock: socket.socket) -> None:
        with sock, suppress(ConnectionError):  # a load that is over leaves in the middle of a response
            while sock.recv(65536):
                text = content()
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text):
                    sock.sendall(bytes([byte]))
                if is_closed:
                    return

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            if is_over.is_set():
                sock.close()
                return
            threads.append(threading.Thread(target=serve, args=(sock,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()
        finally:
            is_over.set()
            socket.create_connection(listener.getsockname()).close()
            acceptor.join()
            for thread in threads:
                thread.join()


def test_the_busiest_worker_is_compared_with_the_mean_of_all() -> None:
    assert worker_spread.busiest(Counter(a=50, b=50), 2) == 1
    assert worker_spread.busiest(Counter(a=75, b=25), 2) == 1.5
    assert worker_spread.busiest(Counter(a=100), 4) == 4


@pytest.mark.parametrize(
    ("send", "is_closed"), [(worker_spread.over_keep_alive, False), (worker_spread.over_new, True)]
)
def test_every_request_counts_for_the_worker_that_responds(
    send: Callable[[tuple[str, int], int, int], Counter[str]], is_closed: bool
) -> None:
    names = iter([b"00000001", b"00000002"] * 100)
    with serving(lambda: next(names), is_closed) as address:
        counts = send(address, 4, 20)
    assert counts.total() == 20
    assert set(counts) == {"00000001", "00000002"}


def test_an_error_response_is_not_counted() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 500 No\r\n\r\n00000001")
        with pytest.raises(ConnectionError, match="500"):
            worker_spread.read_worker(ours)
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n1")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match="complete"):
            worker_spread.read_worker(ours)


def every(pause: float, begin: float, end: float) -> list[float]:
    return [begin + number * pause for number in range(int((end - begin) / pause))]


@pytest.mark.parametrize(
    ("moments", "seconds"),
    [
        (every(0.001, 0, 1.5), 0.0),
        (every(0.001, 0.3, 1.5), 0.3),  # nothing at first
        ([*every(0.004, 0, 0.5), *every(0.001, 0.5, 1.5)], 0.5),  # a quarter at first
        ([*every(0.0005, 0, 0.5), *every(0.001, 0.5, 1.5)], 0.0),  # more at first
    ],
)
def test_a_server_has_settled_at_the_rate_that_it_keeps(moments: list[float], seconds: float) -> None:
    assert load_change.settled(moments, 1.5) == pytest.approx(seconds, abs=0.02)


def test_each_phase_has_its_own_responses() -> None:
    with serving(lambda: b"ok") as address:
        phases = load_change.load(address, 2, 0.5)
    assert len(phases) == len(load_change.PHASES)
    assert all(moments == sorted(moments) and moments[0] >= 0 for moments in phases if moments)
    assert all(phases)


def test_a_response_contains_its_finish_time() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0000000012.500000000"
    assert response_delay.finish_time(response) == 12.5
    assert response_delay.finish_time(response[:-1]) is None
    with pytest.raises(ConnectionError, match="503"):
        response_delay.finish_time(response.replace(b"200 OK", b"503 No"))


def test_a_process_that_does_not_stop_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(response_delay.time, "monotonic", lambda: next(ticks))
    with pytest.raises(ConnectionError, match="did not stop"):
        response_delay.wait_stopped(os.getpid())


@pytest.mark.parametrize("module", ["worker_pid", "changing", "delay"])
def test_the_applications_respond_with_what_is_checked_before_they_are_timed(module: str) -> None:
    code = f"from bench.applications import {module} as m; print(m.application({{'PATH_INFO': '/hello'}}, print))"
    environ = {"BENCH_LOOPS": "1", "PYTHONPATH": str(COMPARE)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[b'Hello, world!']"], done.stderr


@pytest.mark.parametrize("kind", list(PROGRAMS))
def test_each_program_prints_the_metrics_of_its_table_and_its_targets(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "SPREAD_REQUESTS", 200)
    monkeypatch.setattr(measure, "PHASE_SECONDS", 0.3)
    monkeypatch.setattr(measure, "DELAY_BATCHES", 1)
    scenario = next(one for one in SCENARIOS if one.kind is kind)
    found = measure.measure(scenario, SERVERS["ropewalk"], Settings(1.0, {"BENCH_LOOPS": "2000"}))
    assert set(COLUMNS[kind.value]) == set(found)
    assert {target.metric for target in scenario.targets} <= set(found)
    assert json.dumps(found)
    assert all(value >= 0 for value in found.values())


def test_several_workers_are_started() -> None:
    assert {one.workers for one in SCENARIOS if one.kind is Kind.SPREAD} == {2, 4}
    for name in BY_NAME["spread-2"].servers:
        words = SERVERS[name].command(Start("worker_pid", "127.0.0.1:8123", workers=3))
        assert words[words.index("--workers") + 1] == "3"
