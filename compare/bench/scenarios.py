"""The scenarios of the benchmark: the load, the servers, and the targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from bench.targets import BEST, Target

ALL = (
    "ropewalk",
    "gunicorn-gthread",
    "gunicorn-gthread-c",
    "gunicorn-sync",
    "gunicorn-sync-c",
    "waitress",
    "cheroot",
    "granian",
    "uwsgi",
    "bjoern",
    "werkzeug",
)
MAIN = ("ropewalk", "gunicorn-gthread", "waitress", "granian", "bjoern")
THREADED = ("ropewalk", "gunicorn-gthread", "waitress", "cheroot", "granian", "uwsgi")


class Kind(Enum):
    CLOSED = "closed loop"
    OPEN = "open loop"
    START = "start"
    LOGGED = "access log"
    THREADS = "many threads"
    IDLE = "idle connections"
    SLOW = "slow clients"
    SPREAD = "several workers"
    LOAD_CHANGE = "load change"
    RESPONSE_DELAY = "response delay"


class Route(Enum):
    """How the load reaches the server."""

    DIRECT = "direct"
    NGINX_TCP = "through nginx over TCP"
    NGINX_UNIX = "through nginx over a Unix socket"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `is_quick`: the quick mode has it."""

    name: str
    title: str
    application: str
    servers: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    kind: Kind = Kind.CLOSED
    path: str = "/hello"
    content_bytes: int = 0  # of the request; if any, it is a POST
    connections: int = 32
    keeps_alive: bool = True
    has_browser_fields: bool = False  # 14 fields, 4 of which differ from request to request
    route: Route = Route.DIRECT
    rate: float = 0.0  # requests per second of the open loop
    background: int = 0  # idle connections; of slow clients, as many of each of two kinds
    workers: int = 1  # more than one share all CPUs with the load
    is_quick: bool = False

    def with_only(self, names: list[str]) -> Scenario:
        return replace(self, servers=tuple(name for name in self.servers if name in names))


def rate(bound: float, against: str) -> Target:
    return Target("rate", bound, against)


def p99(bound: float, against: str) -> Target:
    return Target("p99", bound, against)


GTHREAD = "gunicorn-gthread"

SCENARIOS = (
    Scenario(
        "hello",
        "Hello, keep-alive connections",
        "hello",
        ALL,
        (rate(8, GTHREAD), rate(6, "waitress"), rate(1, "granian"), rate(0.85, "bjoern"), p99(1, "granian")),
        is_quick=True,
    ),
    Scenario(
        "new-connections",
        "Hello, a new connection for each request",
        "hello",
        ALL,
        (rate(3, GTHREAD), rate(1, "granian")),
        keeps_alive=False,
    ),
    Scenario(
        "hello-256",
        "Hello, 256 connections",
        "hello",
        MAIN,
        (rate(8, GTHREAD), rate(6, "waitress"), rate(1, "granian"), rate(0.85, "bjoern"), p99(1.3, "bjoern")),
        connections=256,
    ),
    Scenario(
        "heads",
        "Hello, with a browser's fields as nginx passes them on",
        "hello",
        MAIN,
        (rate(0.8, "granian"), rate(4, GTHREAD)),
        has_browser_fields=True,
        is_quick=True,
    ),
    Scenario(
        "django",
        "Django, JSON",
        "django_json",
        (*ALL[:3], *ALL[5:10]),
        (rate(3, GTHREAD), rate(1.1, "granian"), rate(1, "bjoern"), p99(0.1, GTHREAD)),
        path="/greeting",
        is_quick=True,
    ),
    Scenario(
        "echo",
        "Echo of a 10 KiB POST",
        "echo",
        MAIN,
        (rate(3, GTHREAD), rate(0.8, "granian")),
        content_bytes=10240,
        is_quick=True,
    ),
    Scenario(
        "megabyte",
        "Response of 1 MiB",
        "megabyte",
        (*MAIN, "gunicorn-sync", "cheroot", "uwsgi", "werkzeug"),
        (rate(1, BEST),),
        path="/megabyte",
    ),
    Scenario(
        "file",
        "File of 10 MiB through wsgi.file_wrapper",
        "file",
        (*MAIN, "gunicorn-sync", "cheroot", "uwsgi", "werkzeug"),
        (rate(1.5, BEST),),
    ),
    Scenario(
        "chunks",
        "Generator of 64 chunks",
        "chunks",
        MAIN,
        (rate(1, "granian"),),
    ),
    Scenario(
        "blocks", "Every request blocks for 10 ms", "blocks", THREADED, (rate(0.97, BEST),), path="/all", is_quick=True
    ),
    Scenario("blocks-some", "1 request in 10 blocks for 20 ms", "blocks", THREADED, (rate(0.97, BEST),), path="/some"),
    Scenario("computes", "1 ms of computing", "computes", MAIN, (rate(0.95, "bjoern"), p99(1, "bjoern"))),
    Scenario(
        "threads",
        "1 ms of computing, 64 threads",
        "computes",
        ("ropewalk", GTHREAD, "granian"),
        (Target("p99", 1.5, "ropewalk", of_metric="p99_one_thread"),),
        kind=Kind.THREADS,
    ),
    Scenario(
        "logged",
        "Hello, access log on",
        "hello",
        ("ropewalk", GTHREAD, "granian"),
        (Target("rate", 0.8, "ropewalk", of_metric="rate_baseline"),),
        kind=Kind.LOGGED,
    ),
    Scenario(
        "nginx-tcp",
        "Hello through nginx over TCP",
        "hello",
        ("ropewalk", GTHREAD),
        (rate(1, GTHREAD), p99(1, GTHREAD)),
        route=Route.NGINX_TCP,
    ),
    Scenario(
        "nginx-unix",
        "Hello through nginx over a Unix socket",
        "hello",
        ("ropewalk", GTHREAD),
        (rate(1, GTHREAD), p99(1, GTHREAD)),
        route=Route.NGINX_UNIX,
    ),
    Scenario(
        "slow-clients",
        "Hello, with 1,000 slow senders and 1,000 slow readers",
        "megabyte",
        ("ropewalk", GTHREAD, "granian"),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_baseline"), Target("failures", 0)),
        kind=Kind.SLOW,
        background=1000,
    ),
    Scenario(
        "idle-connections",
        "Hello, with 10,000 idle connections",
        "hello",
        ("ropewalk", "granian", "bjoern", "waitress"),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_baseline"), Target("connection_memory", 6 * 1024)),
        kind=Kind.IDLE,
        background=10_000,
    ),
    Scenario(
        "open-loop",
        "Hello, open loop of 2,000 requests/s",
        "hello",
        THREADED,
        (p99(1, "granian"),),
        kind=Kind.OPEN,
        rate=2000,
    ),
    Scenario(
        "open-loop-django",
        "Django, JSON, open loop of 2,000 requests/s",
        "django_json",
        THREADED,
        (p99(1, "granian"), p99(0.1, GTHREAD)),
        kind=Kind.OPEN,
        path="/greeting",
        rate=2000,
    ),
    *(
        Scenario(
            f"spread-{workers}",
            f"10,000 requests over {workers} workers, {connections} connections",
            "worker_pid",
            ("ropewalk", GTHREAD, "granian"),
            (Target("busiest_keep_alive", 1.3), Target("busiest_new", 1.3)),
            kind=Kind.SPREAD,
            connections=connections,
            workers=workers,
        )
        for workers, connections in ((2, 4), (4, 8))
    ),
    Scenario(
        "load-change",
        "Load that changes: computing, blocking, both, computing",
        "changing",
        ("ropewalk", GTHREAD, "granian"),
        (Target("settled", 0.5),),
        kind=Kind.LOAD_CHANGE,
    ),
    Scenario(
        "response-delay",
        "Finished responses while one request of the batch blocks",
        "delay",
        ("ropewalk", GTHREAD, "waitress", "granian"),
        (Target("delay_short", 0.002), Target("delay_long", 0.002)),
        kind=Kind.RESPONSE_DELAY,
    ),
    Scenario(
        "start",
        "Start to first response, memory at rest",
        "hello",
        ALL,
        (Target("start", 0.150), Target("memory", 20e6)),
        kind=Kind.START,
        is_quick=True,
    ),
)

UNPUBLISHED = frozenset({"heads"})
"""Names of scenarios that came after the run whose results docs/benchmarks shows. The next whole run has them."""
