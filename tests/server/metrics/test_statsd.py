"""What is sent to a StatsD server."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.config.settings import make_settings
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import ErrorLog
from ropewalk.metrics import statsd
from ropewalk.metrics.statsd import MAX_DATAGRAM, Client, Reporter, WorkersGauge, parse_target
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET

LINE = re.compile(r"([a-zA-Z0-9_.]+):([0-9.]+)\|(c|g|ms)(?:\|@([0-9.e-]+))?(?:\|#(.+))?")


class Receiver:
    """A StatsD server, as far as it adds up."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(20)
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, str] = {}
        self.durations: list[tuple[float, float]] = []
        self.tags: set[str | None] = set()

    @property
    def port(self) -> int:
        port: int = self._sock.getsockname()[1]
        return port

    def receive_until(self, condition: Callable[[], object]) -> None:
        while not condition():
            datagram = self._sock.recv(65536)
            assert len(datagram) <= MAX_DATAGRAM
            for line in datagram.decode().split("\n"):
                self._take(line)

    def _take(self, line: str) -> None:
        match = LINE.fullmatch(line)
        assert match, line
        name, value, kind, rate, tags = match.groups()
        self.tags.add(tags)
        if kind == "c":
            assert rate is None
            self.counters[name] += int(value)
        elif kind == "g":
            self.gauges[name] = value
        else:
            self.durations.append((float(value), float(rate or 1)))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield Receiver(sock)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statsd, "FLUSH_SECONDS", 0.05)


def failing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise ValueError("a fault")


@pytest.mark.usefixtures("quickly")
def test_requests_are_counted_under_gunicorns_names(talk: Talk, receiver: Receiver) -> None:
    where = {"statsd_host": f"127.0.0.1:{receiver.port}"}
    server = talk.serve(answering(status="201 Created"), **where)
    for _ in range(5):
        client = talk.connect(server)
        client.send(GET)
        client.read_all()
    client = talk.connect(server)
    client.send(b"nonsense\r\n\r\n")
    client.read_all()
    receiver.receive_until(lambda: receiver.counters["gunicorn.requests"] == 6)
    receiver.receive_until(lambda: len(receiver.durations) == 5)
    receiver.receive_until(lambda: receiver.counters["gunicorn.log.warning"] == 1)  # of the refused request
    assert receiver.counters == {
        "gunicorn.log.warning": 1,
        "gunicorn.requests": 6,
        "gunicorn.request.status.201": 5,
        "gunicorn.request.status.400": 1,
    }
    assert all(rate == 1.0 for _, rate in receiver.durations)
    assert talk.ask(failing, **where).startswith(b"HTTP/1.1 500 ")
    receiver.receive_until(lambda: receiver.counters["gunicorn.log.exception"] == 1)


@pytest.mark.usefixtures("quickly")
def test_lost_messages_are_reported_at_the_end(talk: Talk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    server = talk.serve(answering(), statsd_host=f"127.0.0.1:{receiver.port}")
    client = talk.connect(server)
    client.send(GET)
    client.read_all()
    server.stop()
    receiver.receive_until(lambda: receiver.counters["gunicorn.requests"] == 1)


def test_prefix_and_tags(receiver: Receiver) -> None:
    client = Client(f"127.0.0.1:{receiver.port}", "shop.live.", "env:live,team:a")
    client.connect()
    client.send([client.line("requests", "2", "c")])
    receiver.receive_until(lambda: receiver.counters)
    assert receiver.counters == {"shop.live.gunicorn.requests": 2}
    assert receiver.tags == {"env:live,team:a"}
    client.close()


def test_many_durations_are_sampled_and_counts_stay_exact(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statsd, "MAX_SAMPLES", 100)
    reporter = Reporter(Client(f"127.0.0.1:{receiver.port}"), dict)
    for number in range(1050):
        reporter.metrics.responded(threading.get_ident(), 200 + number % 2, number / 1000)
    reporter.start()
    reporter.stop()
    receiver.receive_until(lambda: len(receiver.durations) == 96)
    assert receiver.counters["gunicorn.requests"] == 1050
    assert receiver.counters["gunicorn.request.status.200"] == receiver.counters["gunicorn.request.status.201"] == 525
    assert sum(1 / rate for _, rate in receiver.durations) == pytest.approx(1050, rel=1e-3)
    assert max(value for value, _ in receiver.durations) > 1000


def test_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "statsd.sock"))
        receiver = Receiver(sock)
        client = Client(f"unix:{tmp_path}/statsd.sock")
        client.connect()
        client.send(["gunicorn.requests:1|c"])
        receiver.receive_until(lambda: receiver.counters)
        client.close()


def test_the_number_of_workers_is_reported_when_it_changes_and_now_and_then(receiver: Receiver) -> None:
    log, workers = ErrorLog(), [2]
    gauge = WorkersGauge(Client(f"127.0.0.1:{receiver.port}"), lambda: workers[0], log.counts)
    gauge.handle_events(set())
    receiver.receive_until(lambda: receiver.gauges == {"gunicorn.workers": "2"})
    assert (gauge.seconds_until_due(0) or 0) > 0
    workers[0] = 3
    gauge.handle_events(set())
    receiver.receive_until(lambda: receiver.gauges == {"gunicorn.workers": "3"})
    gauge.close()


@pytest.mark.parametrize("target", ["unix:/nowhere/at/all", "name.invalid:8125", "127.0.0.1:9"])
def test_a_server_that_is_not_there_costs_nothing(talk: Talk, target: str, capfd: pytest.CaptureFixture[str]) -> None:
    server = talk.serve(answering(), statsd_host=target)
    for _ in range(3):
        client = talk.connect(server)
        client.send(GET)
        assert client.read_all().endswith(b"ok")
    server.stop()
    assert capfd.readouterr().err.count("cannot reach the StatsD server at") == (0 if target.endswith(":9") else 1)


def test_a_peer_that_takes_nothing_holds_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "statsd.sock"))
        client = Client(f"unix:{tmp_path}/statsd.sock")
        client.connect()
        for _ in range(2000):  # far more than a socket of datagrams queues
            client.send(["gunicorn.requests:1|c"])
        client.close()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("localhost", ("localhost", 8125)),
        ("localhost:9125", ("localhost", 9125)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
        ("[::1]:8125", ("::1", 8125)),
        ("[::1]", ("::1", 8125)),
        ("unix:/run/statsd.sock", "/run/statsd.sock"),
    ],
)
def test_a_target(text: str, target: tuple[str, int] | str) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", [":8125", "a:0", "a:65536", "a:b", "::1", "unix:", "a b", "a:1:2", "http://a"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ConfigError, match="must be HOST:PORT"):
        make_settings(statsd_host=text)


@pytest.mark.parametrize("text", ["a:b", "a|b", "a b", "a\nb", "ü", "a,b"])
def test_what_is_no_prefix(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a prefix"):
        make_settings(statsd_prefix=text)
    assert make_settings(dogstatsd_tags="a:b,c").dogstatsd_tags == "a:b,c"
