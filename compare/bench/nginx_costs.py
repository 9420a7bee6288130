"""What the kit's nginx configuration costs: `python -m bench.nginx_costs`, as `make bench-nginx`.

Each variant is the kit's configuration with one thing changed. Measured is the CPU time of a request, of nginx and of
the application server, which differs less than a rate does from run to run. The variants take turns in each round.
Compared is the least of the rounds, since what else runs on the machine only adds to it. A difference that is smaller
than the one between the two least rounds of either is noise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.console import positive, positive_integer, progress, usage_error
from bench.kit_files import missing_modules
from bench.kit_nginx import Edit, kit_nginx
from bench.loads import wrk
from bench.report.markdown import table
from bench.server_process import ServerProcess, StartError, free_address, running
from bench.servers import SERVERS, Start, find_program

KIT = "the kit's"
UNIX = "Unix socket to the server"
LOG = r"access_log \S+ json;"
GZIP = r"gzip_comp_level \d+;"
BROTLI = r"brotli_comp_level \d+;"


@dataclass(frozen=True, slots=True)
class Load:
    title: str
    application: str
    path: str
    variants: dict[str, tuple[Edit, ...]]
    content_bytes: int = 0
    is_browser: bool = True


def _level(pattern: str, name: str, level: int) -> Edit:
    return pattern, f"{name}_comp_level {level};"


NO_BROTLI: Edit = (r"brotli on;", "brotli off;")

SMALL: dict[str, tuple[Edit, ...]] = {
    "no access log": ((LOG, "access_log off;"),),
    "access log, buffered": ((LOG.replace("json;", "json(?=;)"), r"\g<0> buffer=64k flush=1s"),),
    "no limits": ((r"limit_(req|conn) (zone|connections|bodies)[^;]*;", ""),),
    "keepalive 128 to the server": ((r"keepalive 32;", "keepalive 128;"),),
    "no connection kept to the server": ((r"keepalive 32;", ""),),
    UNIX: (),
    "no response headers of its own": ((r"add_header [^;]*;", ""),),
}
LOADS = {
    "small": Load("A response of 13 bytes, to a browser", "catalogue", "/hello", SMALL),
    "page": Load(
        "A page of 20 KB, to a browser",
        "catalogue",
        "/page",
        {
            "not compressed": ((r"gzip on;", "gzip off;"), NO_BROTLI),
            **{f"gzip, level {level}": (_level(GZIP, "gzip", level), NO_BROTLI) for level in (1, 3, 4, 5, 6)},
            **{f"brotli, level {level}": (_level(BROTLI, "brotli", level),) for level in (0, 1, 2, 3, 4, 5)},
        },
    ),
    "post": Load(
        "A POST of 10 KiB",
        "echo",
        "/hello",
        {
            "body passed on as it arrives": ((r"proxy_request_buffering on;", "proxy_request_buffering off;"),),
            "buffer of 8 KB: the body in a file": ((r"client_body_buffer_size 32k;", "client_body_buffer_size 8k;"),),
        },
        content_bytes=10240,
        is_browser=False,
    ),
    "static": Load(
        "A static file of 20 KB, by nginx",
        "catalogue",
        "/static/site.css",
        {
            "no sendfile": ((r"sendfile on;", "sendfile off;"),),
            "no tcp_nopush": ((r"tcp_nopush on;", ""),),
            "open files cached": ((r"sendfile on;", "sendfile on; open_file_cache max=1000 inactive=60s;"),),
            "no access log": ((LOG, "access_log off;"),),
        },
        is_browser=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of CPU time a request, of nginx and of the server; bytes of a response; requests per second."""

    nginx: float
    server: float
    received: float
    rate: float


def cpu_seconds(process: ServerProcess) -> float:
    """CPU time used so far by all threads that are alive: by the scheduler's clock, whose ticks are nanoseconds."""
    total = 0
    for pid in process.processes():
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # it has ended meanwhile
                total += int(path.read_text().split()[0])
    return total / 1e9


def measure(load: Load, name: str, server: str, seconds: float) -> Sample:
    """Raises `StartError`, `LoadError`."""
    with tempfile.TemporaryDirectory() as folder:
        bind = f"unix:{folder}/bench.sock" if name == UNIX else free_address()
        start = Start(load.application, bind, folder=folder)
        edits = load.variants.get(name, ())
        with running(SERVERS[server], start, {}, "/hello") as backend, kit_nginx(bind, edits) as front:
            words = wrk.command(
                front.url + load.path,
                seconds,
                32,
                method="POST" if load.content_bytes else "GET",
                content_bytes=load.content_bytes,
                has_browser_fields=load.is_browser,
            )
            wrk.warm_up(words, 0.5)
            before = cpu_seconds(front), cpu_seconds(backend)
            found = wrk.load(words, seconds)
            used = cpu_seconds(front) - before[0], cpu_seconds(backend) - before[1]
    if found.failures or not found.requests:
        raise StartError(f"{name}: {found.failures} requests failed")
    count = found.requests
    return Sample(used[0] / count, used[1] / count, found.received_bytes / count, found.rate)


def _shown(values: Sequence[float]) -> str:
    return f"{min(values) * 1e6:.1f} ({median(values) * 1e6:.1f})"


def report(load: Load, samples: dict[str, list[Sample]]) -> str:
    own = sorted(each.nginx for each in samples[KIT])
    rows = []
    for name, found in samples.items():
        nginx = sorted(each.nginx for each in found)
        server = [each.server for each in found]
        noise = max(values[min(1, len(values) - 1)] - values[0] for values in (own, nginx))
        change = nginx[0] - own[0]
        noted = "" if name == KIT else f"{change / own[0]:+.0%}{' (noise)' if abs(change) <= noise else ''}"
        received = f"{median(each.received for each in found):,.0f}"
        rows.append([name, _shown(nginx), noted, _shown(server), received])
    heads = ["configuration", "nginx, µs of CPU a request (median)", "", "server, µs (median)", "bytes received"]
    return f"\n**{load.title}**\n\n{table(heads, rows)}\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.nginx_costs", description="Measure what nginx's configuration costs.")
    parser.add_argument("load", nargs="*", help="only these: " + ", ".join(LOADS))
    parser.add_argument("--rounds", type=positive_integer, default=5)
    parser.add_argument("--seconds", type=positive, default=2.0)
    parser.add_argument("--server", default="ropewalk", help="the server behind nginx")
    options = parser.parse_args()
    for name in options.load:
        if name not in LOADS:
            usage_error(f"{name}: unknown load; choose from {', '.join(LOADS)}")
    if options.server not in SERVERS:
        usage_error(f"--server {options.server}: unknown server; choose from {', '.join(SERVERS)}")
    if find_program("wrk") is None or find_program("nginx") is None:
        progress("bench: wrk or nginx is not installed\n")
        return 0  # a machine that cannot measure does not fail a build
    missing = missing_modules()
    for name in missing:
        progress(f"bench: nginx without the module {name}\n")
    for name, load in LOADS.items():
        if options.load and name not in options.load:
            continue
        names = [KIT, *(each for each in load.variants if "brotli" not in missing or not each.startswith("brotli"))]
        samples: dict[str, list[Sample]] = {each: [] for each in names}
        for number in range(options.rounds):
            progress(f"{name}: round {number + 1} of {options.rounds}\n")
            for each in names if number % 2 == 0 else reversed(names):
                samples[each].append(measure(load, each, options.server, options.seconds))
        sys.stdout.write(report(load, samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
