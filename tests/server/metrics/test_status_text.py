"""What `ropewalk status` and `top` show to people."""

from __future__ import annotations

from math import inf

import pytest

from ropewalk.metrics.counters import no_counters
from ropewalk.metrics.snapshot import ServerStatus
from ropewalk.metrics.status_text import Interval, shown_duration, shown_size, summary
from tests.helpers.statuses import server_status


def status(responses: int = 0, **buckets: int) -> ServerStatus:
    counters = no_counters()
    counters["responses"]["2xx"] = responses
    counters["duration"]["buckets"] |= buckets
    counters["sent_bytes"] = 1000 * responses
    return server_status(counters)


def test_since_the_start() -> None:
    text = summary(status(4, **{"0.0009765625": 2, "0.5": 1, "+Inf": 1}))
    assert "ropewalk 1 (pure), process 7: ready, serving, up 90.0 s, 1.0 M\n" in text
    assert "responses 4 (2xx 4), refused 0\n" in text
    assert "response time since the start: 50% within 0.977 ms, 90% within longer, 99% within longer\n" in text
    assert "buffered: request bodies 3.0 M\n" in text
    assert ", waiting 0, threads waiting for slow clients 2\n" in text
    assert "closed idle" not in text
    assert "/s" not in text
    assert "queue time" not in text


def test_idle_connections_that_were_closed_are_counted_by_reason() -> None:
    counters = no_counters()
    counters["closed_idle"] = {"descriptors": 3, "connections": 1}
    assert ", closed idle connections 4 (descriptors 3, connections 1)\n" in summary(server_status(counters))


def test_of_an_interval_are_its_rates_and_its_durations_alone() -> None:
    before, after = status(4, **{"+Inf": 4}), status(14, **{"+Inf": 4, "0.0009765625": 10})
    text = summary(after, Interval(2.0, before, after))
    assert "5.0 responses/s, 5 k/s\n" in text
    assert "response time in 2.0 s: 50% within 0.977 ms, 90% within 0.977 ms, 99% within 0.977 ms\n" in text
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["8"]]
    assert line.split() == ["8", "ready", "90.0", "s", "2.0", "M", "5.0", "1", "1", "0", "2", "2,", "3,", "17"]


def test_an_interval_without_responses_says_so() -> None:
    before = status(4, **{"0.5": 4})
    assert "in 1.0 s: no responses\n" in summary(before, Interval(1.0, before, before))


def test_a_worker_that_came_meanwhile_has_no_rate() -> None:
    before, after = status(4), status(5)
    before["workers"] = []
    [line] = [line for line in summary(after, Interval(1, before, after)).splitlines() if line.split()[:1] == ["8"]]
    assert line.split()[6] == "-"


def test_a_worker_that_does_not_respond_is_distinguished_from_one_that_boots() -> None:
    lines = summary(status()).splitlines()
    assert [line.endswith("does not respond") for line in lines if line.split()[:1] in (["9"], ["11"], ["10"])] == [
        *(False, False, True)
    ]


def test_a_request_is_shown_cut_and_without_what_moves_a_terminal() -> None:
    text = summary(status())
    [line] = [line for line in text.splitlines() if "GET" in line]
    assert line.endswith("...")
    assert len(line) < 120
    assert "\x1b" not in text


def test_what_went_wrong_is_shown() -> None:
    one = status()
    one["last_reload_failure"] = "why\x1b"
    one["totals"] |= {"aborted": 3, "log_lost": {"access": 5, "error": 0}, "refused": {"503": 2, "408": 0}}
    text = summary(one)
    assert "last reload failed: why\\x1b\n" in text
    assert "refused 2 (503 2), aborted 3, lost log lines 5 (access 5)\n" in text


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
