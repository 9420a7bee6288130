"""The closed loop: wrk, where each connection sends its next request when it has its answer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.backends import tool
from bench.running import LOAD_PROCESSORS, pinned

REPORT = Path(__file__).with_name("report.lua")
MARK = "BENCH "
SLACK = 30.0  # seconds past its time after which wrk is given up


class LoadError(Exception):
    """The load tool failed; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load. Latencies in seconds; `failures` are requests without a good answer."""

    requests: int
    seconds: float
    octets: int
    p50: float
    p99: float
    longest: float
    failures: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


def parse(output: str) -> Load:
    """Read what report.lua wrote. Raises `LoadError`."""
    for line in output.splitlines():
        if line.startswith(MARK):
            told = json.loads(line.removeprefix(MARK))
            kinds = ("connect", "read", "write", "status", "timeout")
            return Load(
                # A status that is no success was answered, and is counted as a failure instead.
                requests=told["requests"] - told["status"],
                seconds=told["microseconds"] / 1e6,
                octets=told["octets"],
                p50=told["p50"] / 1e6,
                p99=told["p99"] / 1e6,
                longest=told["max"] / 1e6,
                failures=sum(told[kind] for kind in kinds),
            )
    raise LoadError(output.strip()[:300] or "wrk said nothing")


def command(
    url: str, seconds: float, connections: int, *, method: str = "GET", keeps: bool = True, content: int = 0
) -> list[str]:
    words = [tool("wrk") or "wrk", "--threads", "1", "--connections", str(connections)]
    words += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(REPORT), url]
    return [*words, "--", method, "keep-alive" if keeps else "close", str(content)]


def load(words: list[str], seconds: float) -> Load:
    """Run wrk on the load's processor. Raises `LoadError`."""
    process = pinned(words, LOAD_PROCESSORS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(timeout=seconds + SLACK)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LoadError("wrk did not end") from None
    return parse(output.decode("utf-8", "replace"))
