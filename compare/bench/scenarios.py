"""The scenarios of the benchmark: the load and the servers. What Ropewalk is to reach in each is in aims.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from bench.aims import AIMS, GTHREAD
from bench.targets import COMPILED, PURE, Target

MIB = 1024 * 1024
OURS = (COMPILED, PURE)
SYNC = ("gunicorn-sync", "gunicorn-sync-c")
C = ("granian", "bjoern", "fastpysgi")  # compiled servers; the latter two run the application in one thread
MAIN = (*OURS, GTHREAD, "waitress", *C)
THREADED = (*OURS, GTHREAD, "waitress", "cheroot", "granian", "uwsgi")
ALL = (*OURS, GTHREAD, "gunicorn-gthread-c", *SYNC, "waitress", "cheroot", "granian", "uwsgi", *C[1:], "werkzeug")
LARGE = (*MAIN, "gunicorn-sync", "cheroot", "uwsgi", "werkzeug")
SOME = (*OURS, GTHREAD, "granian", "bjoern", "fastpysgi")


class Kind(Enum):
    CLOSED = "closed loop"
    PIPELINED = "pipelined requests"  # a closed loop of which wrk does not report usable latencies
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
    KIT = "through the kit's nginx, with access logs"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `is_quick`: the quick mode has it. `left_out`: by server, why it has no row."""

    name: str
    title: str
    application: str
    servers: tuple[str, ...]
    kind: Kind = Kind.CLOSED
    path: str = "/hello"
    content_bytes: int = 0  # of the request; if any, it is a POST
    connections: int = 32
    keeps_alive: bool = True
    least_seconds: float = 0.0  # of a load, if a request takes long
    pipelined: int = 1  # requests that are sent together
    has_browser_fields: bool = False  # 14 fields, 4 of which differ from request to request
    is_tls: bool = False
    is_static: bool = False  # Ropewalk serves the file with --static
    route: Route = Route.DIRECT
    rate: float = 0.0  # requests per second of the open loop
    background: int = 0  # idle connections; of slow clients, as many of each of two kinds
    workers: int = 1  # more than one share all CPUs with the load
    is_quick: bool = False
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        return AIMS.get(self.name, ())

    @property
    def is_important(self) -> bool:
        """Whether it is measured more often if there is little time: the compiled build has an aim in it."""
        return any(target.server == COMPILED for target in self.targets)

    def with_only(self, names: list[str]) -> Scenario:
        return replace(self, servers=tuple(name for name in self.servers if name in names))


def without(servers: tuple[str, ...], *names: str) -> tuple[str, ...]:
    return tuple(name for name in servers if name not in names)


ONE_PROCESS = "it has one process"
NO_TLS = "it does not speak TLS"

SCENARIOS = (
    Scenario("hello", "Hello, keep-alive connections", "hello", ALL, is_quick=True),
    Scenario("hello-256", "Hello, 256 connections", "hello", MAIN, connections=256),
    Scenario(
        "heads",
        "Hello, with a browser's fields as nginx passes them on",
        "hello",
        MAIN,
        has_browser_fields=True,
        is_quick=True,
    ),
    Scenario(
        "django",
        "Django, JSON",
        "django_json",
        without(ALL, *SYNC, "werkzeug"),
        path="/greeting",
        is_quick=True,
    ),
    Scenario("echo", "Echo of a 10 KiB POST", "echo", MAIN, content_bytes=10240, is_quick=True),
    Scenario("chunks", "Generator of 64 chunks", "chunks", MAIN),
    Scenario("megabyte", "Response of 1 MiB", "megabyte", LARGE, path="/megabyte"),
    Scenario(
        "pipelined",
        "Hello, 16 pipelined requests",
        "hello",
        without(MAIN, "bjoern"),
        kind=Kind.PIPELINED,
        pipelined=16,
        left_out=(("bjoern", "it answers only the first of them"),),
    ),
    Scenario(
        "open-loop",
        "Hello, open loop of 2,000 requests/s",
        "hello",
        (*THREADED, "fastpysgi"),
        kind=Kind.OPEN,
        rate=2000,
    ),
    Scenario(
        "open-loop-django",
        "Django, JSON, open loop of 2,000 requests/s",
        "django_json",
        (*THREADED, "fastpysgi"),
        kind=Kind.OPEN,
        path="/greeting",
        rate=2000,
    ),
    Scenario("logged", "Hello, access log on", "hello", (*OURS, GTHREAD, "granian"), kind=Kind.LOGGED),
    Scenario(
        "nginx-heads",
        "Hello through nginx, with a browser's fields",
        "hello",
        SOME,
        has_browser_fields=True,
        route=Route.NGINX_TCP,
    ),
    Scenario(
        "nginx-django",
        "Django, JSON, through nginx",
        "django_json",
        SOME,
        path="/greeting",
        route=Route.NGINX_TCP,
    ),
    Scenario("start", "Start to first response, memory at rest", "hello", ALL, kind=Kind.START, is_quick=True),
    Scenario(
        "idle-connections",
        "Hello, with 10,000 idle connections",
        "hello",
        (*OURS, *C),
        kind=Kind.IDLE,
        background=10_000,
        left_out=(("waitress", "it looks at all connections for each event, so that opening them takes a minute"),),
    ),
    Scenario("django-page", "Django, a page from a template", "django_page", MAIN, path="/page"),
    Scenario("django-sqlite", "Django, a row of SQLite as JSON", "django_sqlite", MAIN, path="/product/500"),
    Scenario("flask", "Flask, JSON", "flask_app", MAIN, path="/greeting"),
    Scenario("flask-page", "Flask, a page from a template", "flask_app", MAIN, path="/page"),
    Scenario(
        "static",
        "Static file of 20 KB: Ropewalk's --static, WhiteNoise under the others, nginx",
        "static",
        (*without(MAIN, "fastpysgi"), "nginx"),
        path="/static/style.css",
        is_static=True,
        left_out=(("fastpysgi", "it fails on the wsgiref.util.FileWrapper with which WhiteNoise responds"),),
    ),
    Scenario("upload", "Upload of 20 MiB", "upload", MAIN, content_bytes=20 * MIB, connections=4, least_seconds=3),
    Scenario(
        "https",
        "Hello over HTTPS",
        "hello",
        (*OURS, GTHREAD, "granian", "fastpysgi"),
        is_tls=True,
        left_out=(("waitress", NO_TLS), ("bjoern", NO_TLS)),
    ),
    Scenario("new-connections", "Hello, a new connection for each request", "hello", ALL, keeps_alive=False),
    Scenario("hello-1024", "Hello, 1,024 connections", "hello", MAIN, connections=1024, least_seconds=2),
    Scenario("hello-4096", "Hello, 4,096 connections", "hello", MAIN, connections=4096, least_seconds=3),
    Scenario(
        "workers",
        "Django, JSON, 4 workers that share 2 CPUs with the load",
        "django_json",
        (*OURS, GTHREAD, "granian", "uwsgi", "fastpysgi"),
        path="/greeting",
        workers=4,
        left_out=(("waitress", ONE_PROCESS), ("bjoern", ONE_PROCESS)),
    ),
    Scenario("file", "File of 10 MiB through wsgi.file_wrapper", "file", LARGE),
    Scenario("blocks", "Every request blocks for 10 ms", "blocks", THREADED, path="/all", is_quick=True),
    Scenario("blocks-some", "1 request in 10 blocks for 20 ms", "blocks", THREADED, path="/some"),
    Scenario("computes", "1 ms of computing", "computes", MAIN),
    Scenario("threads", "1 ms of computing, 64 threads", "computes", (*OURS, GTHREAD, "granian"), kind=Kind.THREADS),
    Scenario("nginx-tcp", "Hello through nginx over TCP", "hello", (*OURS, GTHREAD), route=Route.NGINX_TCP),
    Scenario("nginx-unix", "Hello through nginx over a Unix socket", "hello", (*OURS, GTHREAD), route=Route.NGINX_UNIX),
    Scenario(
        "kit",
        "The kit end to end: its nginx, access logs, Django, a row of SQLite",
        "django_sqlite",
        (*OURS, GTHREAD),
        path="/product/500",
        has_browser_fields=True,
        route=Route.KIT,
    ),
    Scenario(
        "slow-clients",
        "Hello, with 1,000 slow senders and 1,000 slow readers",
        "megabyte",
        (*OURS, GTHREAD, "granian"),
        kind=Kind.SLOW,
        background=1000,
    ),
    *(
        Scenario(
            f"spread-{workers}",
            f"10,000 requests over {workers} workers, {connections} connections",
            "worker_pid",
            (*OURS, GTHREAD, "granian"),
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
        (*OURS, GTHREAD, "granian"),
        kind=Kind.LOAD_CHANGE,
    ),
    Scenario(
        "response-delay",
        "Finished responses while one request of the batch blocks",
        "delay",
        (*OURS, GTHREAD, "waitress", "granian"),
        kind=Kind.RESPONSE_DELAY,
    ),
)
"""In the order in which they are measured and shown: the important ones first."""

UNPUBLISHED: frozenset[str] = frozenset()
"""Names of scenarios that docs/benchmarks lacks, or shows as they were before a change. The next whole run has them."""
