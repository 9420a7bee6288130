"""What is measured, with which servers, and what is to be reached: the table of the benchmark."""

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
    LOGGED = "with and without"
    THREADS = "many threads"
    IDLE = "idle connections"
    SLOW = "slow peers"
    SPREAD = "several workers"
    SETTLE = "a load that changes"
    HELD = "an answer held up"


class Way(Enum):
    """How the load reaches the server."""

    DIRECT = "direct"
    NGINX_TCP = "through nginx over TCP"
    NGINX_UNIX = "through nginx over a Unix socket"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table. `is_quick` tells whether the quick mode has it."""

    name: str
    title: str
    application: str
    backends: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    kind: Kind = Kind.CLOSED
    path: str = "/hello"
    content: int = 0  # octets of the request's; it is a POST then
    connections: int = 32
    keeps: bool = True
    way: Way = Way.DIRECT
    rate: float = 0.0  # of the open loop
    crowd: int = 0
    workers: int = 1  # more than one have all processors, and share them with the load
    is_quick: bool = False

    def with_only(self, names: list[str]) -> Scenario:
        return replace(self, backends=tuple(name for name in self.backends if name in names))


def rate(bound: float, against: str) -> Target:
    return Target("rate", bound, against)


def p99(bound: float, against: str) -> Target:
    return Target("p99", bound, against)


GTHREAD = "gunicorn-gthread"

SCENARIOS = (
    Scenario(
        "hello",
        "hello, keep-alive",
        "hello",
        ALL,
        (rate(8, GTHREAD), rate(6, "waitress"), rate(1, "granian"), rate(0.85, "bjoern"), p99(1, "granian")),
        is_quick=True,
    ),
    Scenario(
        "connections",
        "hello, a new connection each time",
        "hello",
        ALL,
        (rate(3, GTHREAD), rate(1, "granian")),
        keeps=False,
    ),
    Scenario(
        "many",
        "hello, 256 connections",
        "hello",
        MAIN,
        (rate(8, GTHREAD), rate(6, "waitress"), rate(1, "granian"), rate(0.85, "bjoern"), p99(1.3, "bjoern")),
        connections=256,
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
        "POST of 10 KiB, echoed",
        "echo",
        MAIN,
        (rate(3, GTHREAD), rate(0.8, "granian")),
        content=10240,
        is_quick=True,
    ),
    Scenario(
        "megabyte",
        "1 MiB answer",
        "megabyte",
        (*MAIN, "gunicorn-sync", "cheroot", "uwsgi", "werkzeug"),
        (rate(1, BEST),),
        path="/megabyte",
    ),
    Scenario(
        "file",
        "10 MiB file by file_wrapper",
        "file",
        (*MAIN, "gunicorn-sync", "cheroot", "uwsgi", "werkzeug"),
        (rate(1.5, BEST),),
    ),
    Scenario(
        "chunks",
        "generator of 64 chunks",
        "chunks",
        MAIN,
        (rate(1, "granian"),),
    ),
    Scenario("blocks", "blocks 10 ms", "blocks", THREADED, (rate(0.97, BEST),), path="/all", is_quick=True),
    Scenario("some", "1 in 10 blocks 20 ms", "blocks", THREADED, (rate(0.97, BEST),), path="/some"),
    Scenario("computes", "1 ms of computing", "computes", MAIN, (rate(0.95, "bjoern"), p99(1, "bjoern"))),
    Scenario(
        "threads",
        "1 ms of computing, 64 threads",
        "computes",
        ("ropewalk", GTHREAD, "granian"),
        (Target("p99", 1.5, "ropewalk", of_metric="p99_of_one"),),
        kind=Kind.THREADS,
    ),
    Scenario(
        "logged",
        "hello, access log on",
        "hello",
        ("ropewalk", GTHREAD, "granian"),
        (Target("rate", 0.8, "ropewalk", of_metric="rate_without"),),
        kind=Kind.LOGGED,
    ),
    Scenario(
        "nginx-tcp",
        "hello through nginx, TCP",
        "hello",
        ("ropewalk", GTHREAD),
        (rate(1, GTHREAD), p99(1, GTHREAD)),
        way=Way.NGINX_TCP,
    ),
    Scenario(
        "nginx-unix",
        "hello through nginx, Unix socket",
        "hello",
        ("ropewalk", GTHREAD),
        (rate(1, GTHREAD), p99(1, GTHREAD)),
        way=Way.NGINX_UNIX,
    ),
    Scenario(
        "slow",
        "hello beside 1 000 slow heads and 1 000 slow readers",
        "megabyte",
        ("ropewalk", GTHREAD, "granian"),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_without"), Target("failures", 0)),
        kind=Kind.SLOW,
        crowd=1000,
    ),
    Scenario(
        "idle",
        "hello beside 10 000 idle connections",
        "hello",
        ("ropewalk", "granian", "bjoern", "waitress"),
        (Target("rate", 0.9, "ropewalk", of_metric="rate_without"), Target("idle_octets", 6 * 1024)),
        kind=Kind.IDLE,
        crowd=10_000,
    ),
    Scenario(
        "steady",
        "hello, 2 000 a second whatever happens",
        "hello",
        THREADED,
        (p99(1, "granian"),),
        kind=Kind.OPEN,
        rate=2000,
    ),
    Scenario(
        "steady-django",
        "Django, JSON, 2 000 a second whatever happens",
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
            f"10 000 requests over {workers} workers, {connections} connections",
            "whose",
            ("ropewalk", GTHREAD, "granian"),
            (Target("busiest_kept", 1.3), Target("busiest_new", 1.3)),
            kind=Kind.SPREAD,
            connections=connections,
            workers=workers,
        )
        for workers, connections in ((2, 4), (4, 8))
    ),
    Scenario(
        "settle",
        "computing, then blocking, then both, then computing",
        "changes",
        ("ropewalk", GTHREAD, "granian"),
        (Target("settle", 0.5),),
        kind=Kind.SETTLE,
    ),
    Scenario(
        "held",
        "a finished answer beside a request of its batch that blocks",
        "held",
        ("ropewalk", GTHREAD, "waitress", "granian"),
        (Target("held_short", 0.002), Target("held_long", 0.002)),
        kind=Kind.HELD,
    ),
    Scenario(
        "start",
        "start to first answer; memory at rest",
        "hello",
        ALL,
        (Target("start", 0.150), Target("memory", 20e6)),
        kind=Kind.START,
        is_quick=True,
    ),
)
