"""What Ropewalk is to reach, in one table: by scenario, the bounds of each build relative to a peer of the same run.

`make bench` prints a mark for each row. A row that is not reached fails nothing: docs/benchmarks/limits.md says what
was tried, what the limit consists of, and what it would take.
"""

from __future__ import annotations

from bench.targets import BEST, COMPILED, PURE, Target

GTHREAD = "gunicorn-gthread"


def rate(build: str, bound: float, against: str) -> Target:
    """Requests per second, at least."""
    return Target("rate", bound, against, build)


def rate_cpu(build: str, bound: float, against: str) -> Target:
    """Requests per second of CPU time, at least."""
    return Target("rate_cpu", bound, against, build)


def p99(build: str, bound: float, against: str) -> Target:
    """The latency of the slowest of a hundred requests, at most."""
    return Target("p99", bound, against, build)


def baseline(build: str, bound: float) -> Target:
    """Requests per second, at least, relative to the same server's without what the scenario adds."""
    return Target("rate", bound, build, build, of_metric="rate_baseline")


def both(metric: str, bound: float) -> tuple[Target, Target]:
    """An absolute bound for both builds."""
    return Target(metric, bound, server=COMPILED), Target(metric, bound, server=PURE)


AIMS: dict[str, tuple[Target, ...]] = {
    "hello": (
        rate(COMPILED, 1.25, "granian"),
        rate(COMPILED, 0.9, "bjoern"),
        rate(COMPILED, 1.1, "fastpysgi"),
        rate(COMPILED, 11, GTHREAD),
        rate(PURE, 1, "granian"),
        rate(PURE, 9, GTHREAD),
    ),
    "hello-256": (rate(COMPILED, 1.4, "granian"), rate(COMPILED, 0.95, "bjoern"), rate(PURE, 1, "granian")),
    "heads": (rate(COMPILED, 1.1, "granian"), rate(COMPILED, 0.8, "bjoern"), rate(PURE, 0.8, "granian")),
    "nginx-heads": (rate_cpu(COMPILED, 1, "granian"),),
    "nginx-django": (rate_cpu(COMPILED, 1, "granian"), rate_cpu(COMPILED, 1, "bjoern")),
    "django": (
        rate(COMPILED, 1.05, "granian"),
        rate(COMPILED, 0.95, "bjoern"),
        rate(COMPILED, 1.25, "fastpysgi"),
        rate(COMPILED, 2.5, GTHREAD),
        p99(COMPILED, 0.1, GTHREAD),
        rate(PURE, 1, "granian"),
    ),
    "echo": (rate(COMPILED, 1.25, "granian"), rate(PURE, 1, "granian")),
    "chunks": (rate(COMPILED, 2, BEST), rate(PURE, 0.7, COMPILED)),
    "megabyte": (rate(COMPILED, 1.2, BEST), rate(PURE, 0.7, COMPILED)),
    "open-loop": (p99(COMPILED, 1, "granian"), p99(PURE, 1, GTHREAD)),
    "open-loop-django": (p99(COMPILED, 1, "granian"), p99(PURE, 1, GTHREAD)),
    "pipelined": (rate(COMPILED, 1, "granian"), rate(PURE, 0.75, "granian")),
    "logged": (baseline(COMPILED, 0.85), baseline(PURE, 0.8)),
    "start": (*both("start", 0.1), *both("memory", 20e6)),
    "idle-connections": (
        baseline(COMPILED, 1),
        baseline(PURE, 1),
        *both("connection_memory", 2.5 * 1024),
    ),
    "new-connections": (rate(PURE, 1, "granian"), rate(PURE, 3, GTHREAD)),
    "file": (rate(PURE, 1.5, BEST),),
    "blocks": (rate(PURE, 0.97, BEST),),
    "blocks-some": (rate(PURE, 0.97, BEST),),
    "computes": (rate(PURE, 0.95, "bjoern"), p99(PURE, 1, "bjoern")),
    "threads": (Target("p99", 1.5, PURE, of_metric="p99_one_thread"),),
    "nginx-tcp": (rate(PURE, 1, GTHREAD), p99(PURE, 1, GTHREAD)),
    "nginx-unix": (rate(PURE, 1, GTHREAD), p99(PURE, 1, GTHREAD)),
    "slow-clients": (baseline(PURE, 0.9), Target("failures", 0)),
    "spread-2": (Target("busiest_keep_alive", 1.3), Target("busiest_new", 1.3)),
    "spread-4": (Target("busiest_keep_alive", 1.3), Target("busiest_new", 1.3)),
    "load-change": (Target("settled", 0.5),),
    "response-delay": (Target("delay_short", 0.002), Target("delay_long", 0.002)),
}
"""The other scenarios have no aim: they show where Ropewalk is."""
