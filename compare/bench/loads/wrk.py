"""The closed loop: wrk sends the next request on a connection once it has the response to the last one."""

from __future__ import annotations

import json
import math
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.server_process import LOAD_CPUS, pinned
from bench.servers import find_program

SCRIPT = Path(__file__).with_name("wrk.lua")
PREFIX = "BENCH "  # of the line that the script prints
GRACE_SECONDS = 30.0  # after its duration, until wrk is killed
BROWSER_FIELDS = "\r\n".join(
    (
        "X-Real-IP: 192.0.2.%d",
        "X-Forwarded-For: 192.0.2.%d",
        "X-Forwarded-Proto: https",
        "X-Request-ID: 0123456789abcdef01234567%08x",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language: en-GB,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Cookie: sessionid=0123456789abcdef0123456789ab%04x; csrftoken=0123456789abcdef0123456789abcdef",
        "Upgrade-Insecure-Requests: 1",
        "Sec-Fetch-Dest: document",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Site: same-origin",
    )
)
"""What nginx passes on from browsers: for a request's number, two times modulo 250 and two times as it is."""
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
    has_browser_fields: bool = False,
    pipelined: int = 1,
) -> list[str]:
    """wrk takes whole seconds."""
    words = [find_program("wrk") or "wrk", "--threads", "1", "--connections", str(connections)]
    words += ["--duration", f"{math.ceil(seconds)}s", "--timeout", "10s", "--script", str(SCRIPT), url]
    fields = BROWSER_FIELDS if has_browser_fields else ""
    return [*words, "--", method, "keep-alive" if keeps_alive else "close", str(content_bytes), str(pipelined), fields]


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


def warm_up(words: list[str], seconds: float) -> None:
    """Run wrk on the load's CPU for so long, and end it before its time: what it measures does not matter."""
    process = pinned(words, LOAD_CPUS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGINT)  # it closes its connections
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    finally:
        process.kill()
        process.wait()
