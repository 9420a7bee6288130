"""The closed loop: wrk sends the next request on a connection once it has the response to the last one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.server_process import LOAD_CPUS, pinned
from bench.servers import find_program

SCRIPT = Path(__file__).with_name("wrk.lua")
PREFIX = "BENCH "  # of the line that the script prints
GRACE_SECONDS = 30.0  # after its duration, until wrk is killed
ERRORS = ("connect", "read", "write", "status", "timeout")


class LoadError(Exception):
    """The load generator failed; the text is its output."""


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a load. Latencies are in seconds; `failures` counts requests without a successful response."""

    requests: int
    seconds: float
    received_bytes: int
    p50: float
    p99: float
    longest: float
    failures: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


def parse(output: str) -> Load:
    """Parse the line that wrk.lua prints. Raises `LoadError`."""
    for line in output.splitlines():
        if line.startswith(PREFIX):
            found = json.loads(line.removeprefix(PREFIX))
            return Load(
                requests=found["requests"] - found["status"],  # wrk counts error responses as requests too
                seconds=found["microseconds"] / 1e6,
                received_bytes=found["bytes"],
                p50=found["p50"] / 1e6,
                p99=found["p99"] / 1e6,
                longest=found["max"] / 1e6,
                failures=sum(found[error] for error in ERRORS),
            )
    raise LoadError(output.strip()[:300] or "wrk printed nothing")


def command(
    url: str,
    seconds: float,
    connections: int,
    *,
    method: str = "GET",
    keeps_alive: bool = True,
    content_bytes: int = 0,
    fields: str = "few",
) -> list[str]:
    words = [find_program("wrk") or "wrk", "--threads", "1", "--connections", str(connections)]
    words += ["--duration", f"{max(1, round(seconds))}s", "--timeout", "10s", "--script", str(SCRIPT), url]
    return [*words, "--", method, "keep-alive" if keeps_alive else "close", str(content_bytes), fields]


def load(words: list[str], seconds: float) -> Load:
    """Run wrk on the load's CPU. Raises `LoadError`."""
    process = pinned(words, LOAD_CPUS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LoadError("wrk did not finish in time") from None
    return parse(output.decode("utf-8", "replace"))
