"""The arguments of wrk and the parsing of its output."""

from __future__ import annotations

import pytest

from bench.loads import wrk

OUTPUT = """Running 2s test @ http://127.0.0.1:8000/hello
  1 threads and 32 connections
BENCH {"requests":1000,"bytes":160000,"microseconds":2000000,"p50":250.0,"p90":400.0,"p99":1500.0,"max":9000.0,\
"connect":1,"read":2,"write":0,"status":10,"timeout":3}
"""


def test_latencies_are_seconds_and_error_responses_are_failures() -> None:
    load = wrk.parse(OUTPUT)
    assert load.requests == 990
    assert load.rate == 495
    assert (load.p50, load.p99, load.longest) == (0.00025, 0.0015, 0.009)
    assert load.failures == 16


def test_output_without_the_report_is_an_error_that_quotes_it() -> None:
    with pytest.raises(wrk.LoadError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_request_follows_the_url() -> None:
    words = wrk.command("http://127.0.0.1:1/", 2, 256, method="POST", keeps_alive=False, content_bytes=10240)
    assert words[words.index("--connections") + 1] == "256"
    assert words[words.index("--") + 1 :] == ["POST", "close", "10240", "1", ""]
    words = wrk.command("http://127.0.0.1:1/", 1.0, 32, has_browser_fields=True, pipelined=16)
    assert words[words.index("--duration") + 1] == "1s"
    assert words[-2:] == ["16", wrk.BROWSER_FIELDS]
