"""The counters of a worker, and their sums."""

from __future__ import annotations

import threading
from threading import get_ident
from typing import Any, cast

import pytest

from ropewalk.metrics.counters import (
    Metrics,
    add_counters,
    add_gauges,
    no_counters,
    quantile,
    queue_seconds,
    subtract_counters,
)
from ropewalk.metrics.snapshot import Counters, Gauges, Histogram

NOW = 1_790_000_000.0


def test_a_fresh_worker_has_counted_nothing() -> None:
    counters = Metrics().counters()
    assert sum(counters["responses"].values()) == counters["sent_bytes"] == counters["aborted"] == 0
    assert set(counters["duration"]["buckets"].values()) == {0}
    assert counters["refused"] == {}


def test_responses_are_counted_by_class_and_duration() -> None:
    metrics = Metrics()
    for status_code, seconds in ((200, 0.003), (204, 0.003), (301, 0.0), (404, 1.5), (500, 1e9)):
        metrics.responded(get_ident(), status_code, min(seconds, 1e6))
    counters = metrics.counters()
    assert counters["responses"] == {"1xx": 0, "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1}
    buckets = counters["duration"]["buckets"]
    assert {end: count for end, count in buckets.items() if count} == {
        "0.00048828125": 1,
        "0.00390625": 2,
        "2.0": 1,
        "+Inf": 1,
    }
    assert counters["duration"]["seconds"] == pytest.approx(1e6 + 1.506)


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 0.00048, 0.5, 1.0, 127.0, 128.0, 1e6])
def test_a_duration_is_in_the_bucket_that_ends_at_it_or_above(seconds: float) -> None:
    metrics = Metrics()
    metrics.responded(get_ident(), 200, seconds)
    buckets = metrics.counters()["duration"]["buckets"]
    (end,) = [float(end) for end, count in buckets.items() if count]
    assert seconds < end
    smaller = [float(each) for each in buckets if float(each) < end]
    assert all(each <= seconds + 1e-6 for each in smaller)


def test_threads_count_for_themselves_and_lose_nothing() -> None:
    metrics = Metrics()

    def serve() -> None:
        for _ in range(1000):
            metrics.responded(get_ident(), 200, 0.01)
            metrics.closed(10, False)
            metrics.refused(503)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters = metrics.counters()
    # Idents are used again when a thread has ended, whose counters the next one then goes on with.
    assert counters["responses"]["2xx"] == 4000
    assert counters["sent_bytes"] == 40000
    assert counters["refused"] == {"503": 4000}


def test_an_aborted_response_counts_what_was_sent() -> None:
    metrics = Metrics()
    metrics.closed(100, False)
    metrics.closed(7, True)
    assert (metrics.counters()["sent_bytes"], metrics.counters()["aborted"]) == (107, 1)


def test_what_is_sent_counts_before_its_connection_ends_and_never_goes_back() -> None:
    metrics = Metrics()
    assert metrics.counters([5, 10])["sent_bytes"] == 15
    assert metrics.counters([5])["sent_bytes"] == 15  # the other is closing, and not counted yet
    metrics.closed(12, False)
    assert metrics.counters([5])["sent_bytes"] == 17


def test_what_is_shed_is_counted_by_reason() -> None:
    metrics = Metrics()
    for reason in ("waiting", "queue-timeout", "waiting"):
        metrics.shed(reason)
    assert metrics.counters()["shed"] == {"waiting": 2, "queue-timeout": 1}


def counted(**more: Any) -> Counters:
    return cast("Counters", no_counters() | more)


def test_counters_add_up_name_by_name() -> None:
    one = counted(sent_bytes=1, refused={"503": 1}, duration={"buckets": {"0.5": 2}, "seconds": 0.5})
    two = counted(sent_bytes=2, refused={"503": 1, "408": 5}, duration={"buckets": {"0.5": 1}, "seconds": 0.25})
    both = add_counters([one, two])
    assert (both["sent_bytes"], both["refused"]) == (3, {"503": 2, "408": 5})
    assert (both["duration"]["buckets"]["0.5"], both["duration"]["seconds"]) == (3, 0.75)
    assert subtract_counters(both, one)["refused"] == {"503": 1, "408": 5}
    assert subtract_counters(both, one)["sent_bytes"] == 2
    assert add_counters([]) == no_counters()


def test_gauges_add_up_name_by_name() -> None:
    one: Gauges = {
        "in_flight": 1,
        "streaming": 1,
        "waiting": 2,
        "threads": {"active": 1, "parked": 2, "limit": 3},
        "connections": {"idle": 1},
        "waiting_for_clients": 0,
        "buffered_bytes": {"request_bodies": 5},
    }
    assert add_gauges([one, one | {"connections": {"idle": 1, "running": 1}}]) == {
        "in_flight": 2,
        "streaming": 2,
        "waiting": 4,
        "threads": {"active": 2, "parked": 4, "limit": 6},
        "connections": {"idle": 2, "running": 1},
        "waiting_for_clients": 0,
        "buffered_bytes": {"request_bodies": 10},
    }
    assert add_gauges([])["in_flight"] == 0


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    histogram: Histogram = {"buckets": {"0.5": 98, "1.0": 1, "+Inf": 1}, "seconds": 1.0}
    assert quantile(histogram, 0.5) == 0.5
    assert quantile(histogram, 0.99) == 1.0
    assert quantile(histogram, 1.0) == float("inf")
    assert quantile({"buckets": {"0.5": 0}, "seconds": 0.0}, 0.5) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("t=1789999999.750", 0.25),
        ("1789999999.75", 0.25),
        ("1789999999750", 0.25),
        ("1789999999750000", 0.25),
        ("t=1790000000.200", 0.0),
        ("t=1790000002.000", 0.0),
        ("t=1790003601.000", None),
        ("t=1780000000", None),
        ("t=", None),
        ("yesterday", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_request_start_is_read_as_proxies_write_it(text: str, seconds: float | None) -> None:
    assert queue_seconds(text, NOW) == pytest.approx(seconds, abs=1e-3)
