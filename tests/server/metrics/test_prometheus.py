"""The metrics in Prometheus's text format."""

from __future__ import annotations

import re

from ropewalk.metrics.counters import no_counters
from ropewalk.metrics.prometheus import exposition
from ropewalk.metrics.snapshot import ServerStatus
from tests.helpers.statuses import server_status

SAMPLE = re.compile(r'([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? ([0-9.e+-]+)')


def status() -> ServerStatus:
    counters = no_counters()
    counters["responses"]["2xx"] = 3
    counters["refused"]["503"] = 2
    counters["shed"]["queue-timeout"] = 1
    counters["closed_idle"]["descriptors"] = 5
    counters["duration"]["buckets"] |= {"0.5": 2, "1.0": 1}
    counters["duration"]["seconds"] = 1.25
    counters["aborted"] = 4
    return server_status(counters) | {"version": '1"\\\n'}


def test_every_line_is_in_the_text_format() -> None:
    kinds: dict[str, str] = {}
    for line in exposition(status()).splitlines():
        if line.startswith("# "):
            word, name, rest = line[2:].split(" ", 2)
            if word == "TYPE":
                kinds[name] = rest
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert re.sub("_(bucket|sum|count)$", "", match[1]) in kinds or match[1] in kinds
    assert {name for name in kinds if not name.startswith("ropewalk_")} == set()
    assert all(name.endswith("_total") for name, kind in kinds.items() if kind == "counter")


def test_the_samples_are_those_of_the_status() -> None:
    lines = exposition(status()).splitlines()
    for line in (
        'ropewalk_info{version="1\\"\\\\\\n",build="pure"} 1',
        'ropewalk_requests_total{status="2xx"} 3',
        'ropewalk_refused_total{status="503"} 2',
        'ropewalk_shed_total{reason="queue-timeout"} 1',
        'ropewalk_closed_idle_total{reason="descriptors"} 5',
        "ropewalk_threads_waiting_for_clients 2",
        'ropewalk_buffered_bytes{what="request_bodies"} 3145728',
        "ropewalk_responses_aborted_total 4",
        'ropewalk_request_duration_seconds_bucket{le="0.25"} 0',
        'ropewalk_request_duration_seconds_bucket{le="0.5"} 2',
        'ropewalk_request_duration_seconds_bucket{le="1.0"} 3',
        'ropewalk_request_duration_seconds_bucket{le="+Inf"} 3',
        "ropewalk_request_duration_seconds_sum 1.25",
        "ropewalk_request_duration_seconds_count 3",
        "ropewalk_requests_in_flight 1",
        "ropewalk_requests_waiting 0",
        'ropewalk_threads{state="parked"} 15',
        'ropewalk_connections{state="idle"} 2',
        'ropewalk_workers{state="ready"} 2',
        "ropewalk_workers_silent 1",
        'ropewalk_resident_bytes{process="worker",pid="9"} 2097152',
        "ropewalk_ready 1",
    ):
        assert line in lines
