"""The rows that are not of rate: how work spreads, when a changed load has settled, how long an answer waits."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress

import pytest

from bench import held, measure, settle, spread
from bench.backends import APPLICATIONS, BACKENDS
from bench.measure import SCRIPTS, Terms
from bench.scenarios import SCENARIOS, Kind

BY_NAME = {one.name: one for one in SCENARIOS}


@contextmanager
def answering(content, is_closed=False):
    """A server whose connections each get answers of what `content` returns, one octet after the other."""
    threads, is_over = [], threading.Event()

    def serve(sock):
        with sock, suppress(ConnectionError):  # a load that is over leaves in the midst of an answer
            while sock.recv(65536):
                text = content()
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
                for octet in answer:
                    sock.sendall(bytes([octet]))
                if is_closed:
                    return

    def accept():
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


def test_the_busiest_worker_is_told_by_the_mean_of_all():
    assert spread.busiest(Counter(a=50, b=50), 2) == 1
    assert spread.busiest(Counter(a=75, b=25), 2) == 1.5
    assert spread.busiest(Counter(a=100), 4) == 4


@pytest.mark.parametrize(("ask", "is_closed"), [(spread.kept, False), (spread.new, True)])
def test_every_request_is_counted_for_whom_it_names(ask, is_closed):
    names = iter([b"00000001", b"00000002"] * 100)
    with answering(lambda: next(names), is_closed) as address:
        counts = ask(address, 4, 20)
    assert counts.total() == 20
    assert set(counts) == {"00000001", "00000002"}


def test_an_answer_that_is_none_is_not_counted():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 500 No\r\n\r\n00000001")
        with pytest.raises(ConnectionError, match="500"):
            spread.whose(ours)
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n1")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match="whole"):
            spread.whose(ours)


def every(pause, begin, end):
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
def test_a_load_has_settled_when_its_rate_is_what_it_stays(moments, seconds):
    assert settle.settled(moments, 1.5) == pytest.approx(seconds, abs=0.02)


def test_each_phase_has_its_own_answers():
    with answering(lambda: b"ok") as address:
        phases = settle.load(address, 2, 0.5)
    assert len(phases) == len(settle.PHASES)
    assert all(moments == sorted(moments) and moments[0] >= 0 for moments in phases if moments)
    assert all(phases)


def test_an_answer_tells_when_it_was_finished():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0000000012.500000000"
    assert held.finished(answer) == 12.5
    assert held.finished(answer[:-1]) is None
    with pytest.raises(ConnectionError, match="503"):
        held.finished(answer.replace(b"200 OK", b"503 No"))


def test_a_process_that_does_not_stop_is_told(monkeypatch):
    ticks = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(held.time, "monotonic", lambda: next(ticks))
    with pytest.raises(ConnectionError, match="does not stop"):
        held.wait_stopped(os.getpid())


@pytest.mark.parametrize("module", ["whose", "changes", "held"])
def test_the_applications_answer_what_is_checked_before_they_are_timed(module):
    look = f"import {module}; print({module}.application({{'PATH_INFO': '/hello'}}, lambda *words: None))"
    environ = {"BENCH_LOOPS": "1", "PYTHONPATH": str(APPLICATIONS)}
    done = subprocess.run([sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == "[b'Hello, world!']\n", done.stderr


@pytest.mark.parametrize("kind", list(SCRIPTS))
def test_each_program_gives_what_its_table_and_its_targets_want(kind, monkeypatch):
    from bench.report import COLUMNS

    monkeypatch.setattr(measure, "SPREAD_REQUESTS", 200)
    monkeypatch.setattr(measure, "PHASE_SECONDS", 0.3)
    monkeypatch.setattr(measure, "HELD_BATCHES", 1)
    scenario = next(one for one in SCENARIOS if one.kind is kind)
    found = measure.sample(scenario, BACKENDS["ropewalk"], Terms(1.0, {"BENCH_LOOPS": "2000"}))
    assert set(COLUMNS[kind.value]) == set(found)
    assert {target.metric for target in scenario.targets} <= set(found)
    assert json.dumps(found)
    assert all(value >= 0 for value in found.values())


def test_several_workers_are_started():
    assert {one.workers for one in SCENARIOS if one.kind is Kind.SPREAD} == {2, 4}
    for name in BY_NAME["spread-2"].backends:
        start = measure.Start("whose", "127.0.0.1:8123", workers=3)
        words = BACKENDS[name].command(start)
        assert words[words.index("--workers") + 1] == "3"
