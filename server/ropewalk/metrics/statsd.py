"""StatsD, under the names and types that gunicorn gives its metrics: dashboards that were made for that go on.

    gunicorn.requests:17|c              gunicorn.request.duration:12.5|ms
    gunicorn.request.status.200:16|c    gunicorn.log.error:1|c    gunicorn.workers:4|g

gunicorn sends three datagrams for each request, from the thread that served it. Here that thread notes status and
duration, and a thread of each worker's own adds up and sends once a second, many lines in a datagram. Counts are exact;
of durations up to `MAX_SAMPLES` a second are sent, with the rate at which they were chosen. The master sends how many
workers there are. Nothing here waits or raises: a datagram that cannot be sent is lost, as StatsD has it.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from ropewalk.logs.error_log import get_logger
from ropewalk.metrics.counters import Metrics

DEFAULT_PORT = 8125

FLUSH_SECONDS = 1.0

GAUGE_SECONDS = 10.0
"""Between two tellings of a number that stays as it is: StatsD's own interval."""

RESOLVE_SECONDS = 30.0
"""Between two look-ups of the address, and two attempts at one that cannot be reached."""

MAX_DATAGRAM = 1432
"""Octets: an Ethernet frame without the headers of IPv6 and UDP, and some to spare; StatsD's own recommendation."""

MAX_SAMPLES = 1000
"""Durations a flush: some 30 datagrams. As many give a percentile to a part in a hundred."""

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
        raise ValueError("must be HOST:PORT, [V6]:PORT, or unix:PATH of a socket that takes datagrams")
    return match[1] or match[2], port


class Client:
    """Sends lines to one StatsD server. Used by one thread."""

    def __init__(self, target: str, prefix: str = "", tags: str = "") -> None:
        self._target = parse_target(target)
        self._prefix = f"{prefix.rstrip('.')}." if prefix.strip(".") else ""
        self._tags = f"|#{tags}" if tags else ""
        self._sock: socket.socket | None = None
        self._next_connect = 0.0
        self._is_told = False

    def line(self, name: str, value: str, kind: str, rate: float = 1.0) -> str:
        """One metric, as it is sent."""
        sampled = f"|@{rate:.6g}" if rate < 1.0 else ""
        return f"{self._prefix}gunicorn.{name}:{value}|{kind}{sampled}{self._tags}"

    def connect(self) -> None:
        """Look the address up, anew now and then; it may take as long as that takes."""
        now = time.monotonic()
        if now < self._next_connect:
            return
        self._next_connect = now + RESOLVE_SECONDS
        try:
            sock = self._open()
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                where = self._target if isinstance(self._target, str) else self._target[0]
                get_logger().warning("no StatsD server at %s: %s", where, error.strerror or error)
            return
        self._is_told = False
        self.close()
        self._sock = sock

    def _open(self) -> socket.socket:
        if isinstance(self._target, str):
            return _connected(socket.AF_UNIX, self._target)
        family, _, _, _, address = socket.getaddrinfo(*self._target, type=socket.SOCK_DGRAM)[0]
        return _connected(family, address)

    def send(self, lines: Iterable[str]) -> None:
        """Send, if there is an address."""
        sock = self._sock
        if sock is None:
            return
        for datagram in _packed(lines):
            with suppress(OSError):  # full, or refused: the next may be taken
                sock.send(datagram)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _connected(family: int, address: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(address)  # type: ignore[arg-type]
    except OSError:
        sock.close()
        raise
    return sock


def _packed(lines: Iterable[str]) -> Iterator[bytes]:
    datagram = b""
    for line in lines:
        octets = line.encode("utf-8", "replace")
        if datagram and len(datagram) + 1 + len(octets) > MAX_DATAGRAM:
            yield datagram
            datagram = b""
        datagram = datagram + b"\n" + octets if datagram else octets
    if datagram:
        yield datagram


class SampledMetrics(Metrics):
    """Counts, and keeps every status and duration until they are sent; made where there is a StatsD server alone."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: deque[tuple[int, float | None]] = deque()
        """Status code and seconds; appended to by any thread, emptied every second by one."""

    def responded(self, thread: int, status_code: int, seconds: float) -> None:
        super().responded(thread, status_code, seconds)
        self.samples.append((status_code, seconds))

    def refused(self, status_code: int) -> None:
        super().refused(status_code)
        self.samples.append((status_code, None))


class Reporter:
    """A worker's thread that tells what was counted."""

    def __init__(self, client: Client, log_counts: Callable[[], Mapping[str, int]]) -> None:
        self.metrics = SampledMetrics()
        self._client = client
        self._log = _LogCounts(client, log_counts)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="ropewalk-statsd", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tell the rest, and end. A look-up of the address that takes longer is left alone."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join(FLUSH_SECONDS)

    def _tell(self) -> None:
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
    """The master's part: the number of workers, and its own log. Polled in the master's loop.

    The address is looked up once, before that loop: a look-up may take long.
    """

    def __init__(self, client: Client, workers: Callable[[], int], log_counts: Callable[[], Mapping[str, int]]) -> None:
        client.connect()
        self._client = client
        self._workers = workers
        self._log = _LogCounts(client, log_counts)
        self._told = -1
        self._next = 0.0
        """Monotonic; when it is told again though it is the same."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        return iter(())

    def seconds_to_act(self, now: float) -> float | None:
        return max(0.0, self._next - now)

    def attend(self, ready: set[int]) -> None:
        workers, now = self._workers(), time.monotonic()
        if workers == self._told and now < self._next:
            return
        self._told, self._next = workers, now + GAUGE_SECONDS
        self._client.send([self._client.line("workers", str(workers), "g"), *self._log.lines()])

    def abandon(self) -> None:
        self._client.close()


class _LogCounts:
    """What was logged since the last time."""

    def __init__(self, client: Client, counts: Callable[[], Mapping[str, int]]) -> None:
        self._client = client
        self._counts = counts
        self._told: Mapping[str, int] = counts()

    def lines(self) -> Iterator[str]:
        counts, told = self._counts(), self._told
        self._told = counts
        for level in LOG_METRICS:
            count = counts.get(level, 0) - told.get(level, 0)
            if count > 0:
                yield self._client.line(f"log.{level}", str(count), "c")
