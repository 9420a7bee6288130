from __future__ import annotations

from math import inf

import pytest

from ropewalk.wsgi.timeouts import RequestTimeouts

LIMITS = RequestTimeouts(30, ["/reports/=300", "/reports/quick=5", "/stream=0", "/caf\u00e9=2"])


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/", 30),
        ("/reports", 30),
        ("/reports/", 300),
        ("/reports/year", 300),
        ("/reports/quick", 5),
        ("/reports/quickest", 5),
        ("/stream/1", inf),
        ("/other/stream", 30),
        ("/caf\xc3\xa9/menu", 2),  # as PATH_INFO has the octets of UTF-8
        ("/caf\xe9/menu", 30),
        ("*", 30),
    ],
)
def test_the_longest_prefix_that_fits_says_the_time(path: str, seconds: float) -> None:
    assert LIMITS.of(path) == seconds


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/", 60),
        ("/reports/", 300),  # longer than --stream-timeout
        ("/reports/quick", 60),  # shorter: meant for the beginning of a response
        ("/stream/1", inf),
    ],
)
def test_a_longer_time_of_a_prefix_is_that_of_its_streams_too(path: str, seconds: float) -> None:
    limits = RequestTimeouts(30, ["/reports/=300", "/reports/quick=5", "/stream=0"], stream_timeout=60)
    assert limits.of_stream(path) == seconds


def test_without_a_time_for_streams_they_have_no_limit() -> None:
    assert RequestTimeouts(30, ["/a=5"]).of_stream("/a") == inf


def test_the_last_of_two_for_the_same_prefix_counts() -> None:
    assert RequestTimeouts(30, ["/a=1", "/a=2"]).of("/a") == 2


@pytest.mark.parametrize(
    ("limits", "shortest"),
    [
        (RequestTimeouts(30), 30),
        (RequestTimeouts(0), 0),
        (LIMITS, 2),
        (RequestTimeouts(0, ["/a=0"]), 0),
        (RequestTimeouts(0, ["/a=7"]), 7),
        (RequestTimeouts(0, stream_timeout=60), 60),
        (RequestTimeouts(30, stream_timeout=60), 30),
    ],
)
def test_the_shortest_time_of_all_is_known(limits: RequestTimeouts, shortest: float) -> None:
    assert limits.shortest == shortest
