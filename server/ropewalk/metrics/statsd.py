"""StatsD metrics, with gunicorn's names and types, so that existing dashboards keep working.

    gunicorn.requests:17|c              gunicorn.request.duration:12.5|ms
    gunicorn.request.status.200:16|c    gunicorn.log.error:1|c    gunicorn.workers:4|g

gunicorn sends three datagrams for each request, from the thread that served it. Here that thread only records status
and duration; a separate thread of each worker adds them up and sends them once a second, many lines in a datagram.
Counts are exact. At most `MAX_SAMPLES` durations are sent per second, with their sampling rate. The master sends the
number of workers. Nothing here blocks or raises: a datagram that cannot be sent is lost, as usual for StatsD.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from ropewalk.logs.error_log import get_logger, inheriting_log
from ropewalk.metrics.counters import SampledMetrics

DEFAULT_PORT = 8125

FLUSH_SECONDS = 1.0

GAUGE_SECONDS = 10.0
"""How often an unchanged number is sent again: StatsD's own interval."""

RESOLVE_SECONDS = 30.0
"""How often the address is resolved again, and an unreachable one is tried again."""

MAX_DATAGRAM = 1432
"""Bytes: an Ethernet frame without the headers of IPv6 and UDP, and some to spare; StatsD's recommendation."""

MAX_SAMPLES = 1000
"""Durations per flush, which is about 30 datagrams. That many give percentiles to within one percent."""

LOG_METRICS = ("critical", "error", "warning", "exception")

UNIX = "unix:"

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.%a-z]+)\]|([A-Za-z0-9_.-]+))(?::([0-9]{1,5}))?", re.ASCII)


def parse_target(text: str) -> tuple[str, int] | str:
    """Host and port, or the path of a Unix socket. Raises ValueError with what is allowed."""
    path = text.removeprefix(UNIX)
    if path != text and path and "\0" not in path:
        return path
    match = _HOST.fullmatch(text)
    port = int(match[3] or DEFAULT_PORT) if match else 0
    if match is None or path != text or not 0 < port < 65536:
        raise ValueError("must be HOST:PORT, [V6]:PORT, or unix:PATH of a datagram socket")
    return match[1] or match[2], port


class Client:
    """Sends lines to one StatsD server. For use by a single thread."""

    def __init__(self, target: str, prefix: str = "", tags: str = "") -> None:
        self._target = parse_target(target)
        self._prefix = f"{prefix.rstrip('.')}." if prefix.strip(".") else ""
        self._tags = f"|#{tags}" if tags else ""
        self._sock: socket.socket | None = None
        self._next_connect = 0.0
        self._is_reported = False

    def line(self, name: str, value: str, kind: str, rate: float = 1.0) -> str:
        """One metric as a line."""
        sampled = f"|@{rate:.6g}" if rate < 1.0 else ""
        return f"{self._prefix}gunicorn.{name}:{value}|{kind}{sampled}{self._tags}"

    def connect(self) -> None:
        """Resolve the address, again from time to time; this may block for a while."""
        now = time.monotonic()
        if now < self._next_connect:
            return
        self._next_connect = now + RESOLVE_SECONDS
        try:
            sock = self._open()
        except OSError as error:
            if not self._is_reported:
                self._is_reported = True
                where = self._target if isinstance(self._target, str) else self._target[0]
                get_logger().warning("cannot reach the StatsD server at %s: %s", where, error.strerror or error)
            return
        self._is_reported = False
        self.close()
        self._sock = sock

    def _open(self) -> socket.socket:
        if isinstance(self._target, str):
            return _connected(socket.AF_UNIX, self._target)
        family, _, _, _, address = socket.getaddrinfo(*self._target, type=socket.SOCK_DGRAM)[0]
        return _connected(family, address)

    def send(self, lines: Iterable[str]) -> None:
        """Send the lines, if the address is known."""
        sock = self._sock
        if sock is None:
            return
        for datagram in _packed(lines):
            with suppress(OSError):  # full or refused; the next one may succeed
                sock.send(datagram)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _connected(family: int, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except OSError:
        sock.close()
        raise
    return sock


def _packed(lines: Iterable[str]) -> Iterator[bytes]:
    datagram = b""
    for line in lines:
        encoded = line.encode("utf-8", "replace")
        if datagram and len(datagram) + 1 + len(encoded) > MAX_DATAGRAM:
            yield datagram
            datagram = b""
        datagram = datagram + b"\n" + encoded if datagram else encoded
    if datagram:
        yield datagram


class Reporter:
    """The thread of a worker that sends what was counted."""

    def __init__(self, client: Client, log_counts: Callable[[], Mapping[str, int]]) -> None:
        self.metrics = SampledMetrics()
        self._client = client
        self._log = _LogCounts(client, log_counts)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=inheriting_log(self._run), name="ropewalk-statsd", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send the rest, and end the thread, unless it is still resolving the address."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join(FLUSH_SECONDS)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(FLUSH_SECONDS)
            self._client.connect()
            self._client.send(self._lines())
        self._client.close()

    def _lines(self) -> Iterator[str]:
        samples = self.metrics.samples
        taken = [samples.popleft() for _ in range(len(samples))]
        line = self._client.line
        if taken:
            yield line("requests", str(len(taken)), "c")
        for status_code, count in sorted(Counter(status_code for status_code, _ in taken).items()):
            yield line(f"request.status.{status_code}", str(count), "c")
        durations = [seconds for _, seconds in taken if seconds is not None]
        chosen = durations[:: -(-len(durations) // MAX_SAMPLES) or 1]
        for seconds in chosen:
            yield line("request.duration", f"{seconds * 1000:.3f}", "ms", len(chosen) / len(durations))
        yield from self._log.lines()


class WorkersGauge:
    """The master's part: the number of workers, and messages of its own log. Polled in the master's loop.

    The address is resolved only once, before that loop, since that may block.
    """

    def __init__(self, client: Client, workers: Callable[[], int], log_counts: Callable[[], Mapping[str, int]]) -> None:
        client.connect()
        self._client = client
        self._workers = workers
        self._log = _LogCounts(client, log_counts)
        self._sent = -1
        self._next = 0.0
        """Monotonic; when an unchanged number is sent again."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        return iter(())

    def seconds_until_due(self, now: float) -> float | None:
        return max(0.0, self._next - now)

    def handle_events(self, ready: set[int]) -> None:
        workers, now = self._workers(), time.monotonic()
        if workers == self._sent and now < self._next:
            return
        self._sent, self._next = workers, now + GAUGE_SECONDS
        self._client.send([self._client.line("workers", str(workers), "g"), *self._log.lines()])

    def close(self) -> None:
        self._client.close()


class _LogCounts:
    """How many messages were logged since the last call of `lines`, by level."""

    def __init__(self, client: Client, counts: Callable[[], Mapping[str, int]]) -> None:
        self._client = client
        self._counts = counts
        self._sent: Mapping[str, int] = counts()

    def lines(self) -> Iterator[str]:
        counts, sent = self._counts(), self._sent
        self._sent = counts
        for level in LOG_METRICS:
            count = counts.get(level, 0) - sent.get(level, 0)
            if count > 0:
                yield self._client.line(f"log.{level}", str(count), "c")
