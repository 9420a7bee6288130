"""What `ropewalk status` and `top` show to people."""

from __future__ import annotations

import copy
from math import inf
from typing import Any

import pytest

from ropewalk.metrics.status_text import Interval, shown_duration, shown_size, summary

BUCKETS = {"0.001": 0, "0.5": 0, "128.0": 0, "+Inf": 0}


def status(answered: int = 0, **buckets: int) -> dict[str, Any]:
    counted = {
        "answers": {"2xx": answered, "5xx": 0},
        "duration": {"buckets": {**BUCKETS, **buckets}, "seconds": 1.0},
        "queue": {"buckets": dict(BUCKETS), "seconds": 0.0},
        "octets_sent": 1000 * answered,
        "refused": {},
        "cut": 0,
        "log_lost": {"access": 0, "error": 0},
    }
    gauges = {"in_flight": 1, "waiting": 0, "connections": {"idle": 2}, "threads": {}}
    threads = {"active": 2, "parked": 15, "limit": 3}
    look = {
        "counters": copy.deepcopy(counted),
        "gauges": {**gauges, "threads": threads},
        "running": [{"thread": 1, "request": "GET '/\x1b[31m" + "x" * 200 + "'", "seconds": 1.5}],
    }
    return {
        "version": "1",
        "pid": 7,
        "state": "serving",
        "ready": True,
        "uptime": 90.0,
        "resident": 1 << 20,
        "target": 2,
        "last_reload_failure": "",
        "events": {"forked": 2, "failed_reloads": 0},
        "workers": [
            {"pid": 8, "state": "ready", "age": 90.0, "resident": 2 << 20, "look": look},
            {"pid": 9, "state": "booting", "age": 0.1, "resident": 2 << 20, "look": None},
            {"pid": 11, "state": "stale", "age": 0.1, "resident": 2 << 20, "look": None},
            {"pid": 10, "state": "ready", "age": 7200.0, "resident": 2 << 20, "look": None},
        ],
        "totals": counted,
        "gauges": gauges,
    }


def test_since_the_start() -> None:
    text = summary(status(4, **{"0.001": 2, "0.5": 1, "+Inf": 1}))
    assert "ropewalk 1, process 7: ready, serving, up 90.0 s, 1.0 M\n" in text
    assert "answered 4 (2xx 4), refused 0\n" in text
    assert "since the start: half within 1 ms, 9 of 10 within longer, 99 of 100 within longer\n" in text
    assert "a second," not in text
    assert "queued" not in text


def test_of_an_interval_are_its_rates_and_its_durations_alone() -> None:
    before, after = status(4, **{"+Inf": 4}), status(14, **{"+Inf": 4, "0.001": 10})
    text = summary(after, Interval(2.0, before, after))
    assert "5.0 a second, 5 k a second\n" in text
    assert "in 2.0 s: half within 1 ms, 9 of 10 within 1 ms, 99 of 100 within 1 ms\n" in text
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["8"]]
    assert line.split() == ["8", "ready", "90.0", "s", "2.0", "M", "5.0", "1", "0", "2", "2,", "3,", "17"]


def test_an_interval_without_answers_says_so() -> None:
    before = status(4, **{"0.5": 4})
    assert "in 1.0 s: no answers\n" in summary(before, Interval(1.0, before, before))


def test_a_worker_that_came_meanwhile_has_no_rate() -> None:
    before, after = status(4), status(5)
    before["workers"] = []
    [line] = [line for line in summary(after, Interval(1, before, after)).splitlines() if line.split()[:1] == ["8"]]
    assert line.split()[6] == "-"


def test_a_worker_that_does_not_answer_is_told_from_one_that_boots() -> None:
    lines = summary(status()).splitlines()
    assert [line.endswith("does not answer") for line in lines if line.split()[:1] in (["9"], ["11"], ["10"])] == [
        *(False, False, True)
    ]


def test_a_request_is_shown_cut_and_without_what_moves_a_terminal() -> None:
    text = summary(status())
    [line] = [line for line in text.splitlines() if "GET" in line]
    assert line.endswith("...")
    assert len(line) < 120
    assert "\x1b" not in text


def test_what_went_wrong_is_told() -> None:
    one = status()
    one["last_reload_failure"] = "why\x1b"
    one["totals"] |= {"cut": 3, "log_lost": {"access": 5, "error": 0}, "refused": {"503": 2, "408": 0}}
    text = summary(one)
    assert "last reload failed: why\\x1b\n" in text
    assert "refused 2 (503 2), cut 3, lost lines of logs 5 (access 5)\n" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((None, "-"), (0.0001234, "0.123 ms"), (0.5, "500 ms"), (1, "1.0 s"), (121, "2.0 min"), (7200, "2.0 h")),
        *((200000, "2.3 d"), (inf, "longer")),
    ],
)
def test_a_duration(seconds: float | None, shown: str) -> None:
    assert shown_duration(seconds) == shown


def test_a_size() -> None:
    assert [shown_size(octets) for octets in (0, 2048, 3 << 20, 5 << 30)] == ["0 k", "2 k", "3.0 M", "5.0 G"]
