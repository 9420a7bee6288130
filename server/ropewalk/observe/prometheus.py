"""The status of a server in Prometheus's text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterable[tuple[str, Mapping[str, str], float]]
"""Of one metric: suffix of its name, labels, value."""


def exposition(status: Mapping[str, Any]) -> str:
    """The page for a `status` with its totals, as `process.control.status_with` makes it."""
    return "".join(_lines(status))


def _lines(status: Mapping[str, Any]) -> Iterator[str]:
    totals, gauges, workers = status["totals"], status["gauges"], status["workers"]
    events = status["events"]
    yield from _family("ropewalk_info", "gauge", "The server.", [("", {"version": status["version"]}, 1)])
    yield from _family(
        "ropewalk_requests_total",
        "counter",
        "Requests that the application answered.",
        _by("status", totals.get("answers", {})),
    )
    yield from _family(
        "ropewalk_refused_total",
        "counter",
        "Answers of the server itself: faults of peers (4xx), overload (503), timeouts (408, 504).",
        _by("status", totals.get("refused", {})),
    )
    yield from _family(
        "ropewalk_shed_total",
        "counter",
        "Turned away for overload: too many connections, too many waiting, or one that waited too long.",
        _by("reason", totals.get("shed", {})),
    )
    yield from _family(
        "ropewalk_request_duration_seconds",
        "histogram",
        "From the start of the application to the end of its answer.",
        _histogram(totals.get("duration")),
    )
    yield from _family(
        "ropewalk_queue_seconds",
        "histogram",
        "From a trusted proxy's X-Request-Start to the start of the application.",
        _histogram(totals.get("queue")),
    )
    yield from _family(
        "ropewalk_sent_bytes_total", "counter", "Octets of answers, heads too.", _one(totals.get("octets_sent", 0))
    )
    yield from _family(
        "ropewalk_answers_cut_total", "counter", "Answers that the peer did not take whole.", _one(totals.get("cut", 0))
    )
    yield from _family(
        "ropewalk_requests_in_flight",
        "gauge",
        "Requests inside the application now.",
        _one(gauges.get("in_flight", 0)),
    )
    yield from _family(
        "ropewalk_requests_waiting",
        "gauge",
        "Whole requests that wait for a thread.",
        _one(gauges.get("waiting", 0)),
    )
    yield from _family(
        "ropewalk_threads",
        "gauge",
        "Threads of the pools: active, parked, and how many may be active.",
        _by("state", gauges.get("threads", {})),
    )
    yield from _family(
        "ropewalk_connections", "gauge", "Connections by what they are at.", _by("state", gauges.get("connections", {}))
    )
    yield from _family(
        "ropewalk_workers",
        "gauge",
        "Workers by state, as the master knows them.",
        _by("state", _counted(worker["state"] for worker in workers)),
    )
    yield from _family("ropewalk_workers_wanted", "gauge", "Workers asked for.", _one(status["target"]))
    yield from _family(
        "ropewalk_workers_silent",
        "gauge",
        "Workers that serve and did not answer the master in time.",
        _one(sum(worker["look"] is None and worker["state"] in _SERVING for worker in workers)),
    )
    yield from _family(
        "ropewalk_worker_events_total",
        "counter",
        "Workers forked, died unasked, replaced (recycled or stuck) and killed; reloads, and those that failed.",
        _by("event", events),
    )
    yield from _family(
        "ropewalk_resident_bytes",
        "gauge",
        "Memory held by the master and each worker.",
        [
            ("", {"process": "master"}, status["resident"]),
            *(("", {"process": "worker", "pid": str(worker["pid"])}, worker["resident"]) for worker in workers),
        ],
    )
    yield from _family(
        "ropewalk_log_messages_total",
        "counter",
        "Messages of the workers to the error log; those with an exception stand under that name.",
        _by("level", totals.get("log_messages", {})),
    )
    yield from _family(
        "ropewalk_log_lost_total",
        "counter",
        "Lines that a worker could not write to a log.",
        _by("log", totals.get("log_lost", {})),
    )
    yield from _family("ropewalk_ready", "gauge", "1 when new requests are welcome.", _one(int(status["ready"])))
    yield from _family("ropewalk_uptime_seconds", "gauge", "Since the master's start.", _one(status["uptime"]))


_SERVING = ("ready", "outdated", "condemned")


def _family(name: str, kind: str, help: str, samples: Samples) -> Iterator[str]:
    yield f"# HELP {name} {help}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{{{shown}}} {value}\n" if shown else f"{name}{suffix} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _one(value: float) -> Samples:
    return [("", {}, value)]


def _by(label: str, table: Mapping[str, float]) -> Samples:
    return [("", {label: name}, value) for name, value in sorted(table.items())]


def _histogram(histogram: Mapping[str, Any] | None) -> Samples:
    if histogram is None:
        return []
    samples: list[tuple[str, Mapping[str, str], float]] = []
    below = 0
    for end, count in histogram["buckets"].items():
        below += count
        samples.append(("_bucket", {"le": end}, below))
    return [*samples, ("_sum", {}, histogram["seconds"]), ("_count", {}, below)]


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
