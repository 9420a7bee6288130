"""The status of a server in Prometheus's text format 0.0.4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the metric's name, labels, value."""

Samples = Iterable[Sample]


def exposition(status: Mapping[str, Any]) -> str:
    """The page for a `status` with its totals, as `process.control.status_with` makes it."""
    groups = (_server, _requests, _now, _workers, _logs)
    return "".join(text for group in groups for family in group(status) for text in _family(*family))


Family = tuple[str, str, str, Samples]
"""Name without its prefix, type, help and samples."""


def _server(status: Mapping[str, Any]) -> Iterator[Family]:
    yield "info", "gauge", "The server.", [("", {"version": status["version"]}, 1)]
    yield "ready", "gauge", "1 when new requests are welcome.", _one(int(status["ready"]))
    yield "uptime_seconds", "gauge", "Since the master's start.", _one(status["uptime"])


def _requests(status: Mapping[str, Any]) -> Iterator[Family]:
    totals = status["totals"]
    answers, refused, shed = totals.get("answers", {}), totals.get("refused", {}), totals.get("shed", {})
    duration, queue = _histogram(totals.get("duration")), _histogram(totals.get("queue"))
    yield "requests_total", "counter", "Requests that the application answered.", _by("status", answers)
    about = "Answers of the server itself: faults of peers (4xx), overload (503), timeouts (408, 504)."
    yield "refused_total", "counter", about, _by("status", refused)
    about = "Turned away for overload: too many connections, too many waiting, or one that waited too long."
    yield "shed_total", "counter", about, _by("reason", shed)
    about = "From the start of the application to the end of its answer."
    yield "request_duration_seconds", "histogram", about, duration
    about = "From a trusted proxy's X-Request-Start to the start of the application."
    yield "queue_seconds", "histogram", about, queue
    about = "Octets of the content of requests."
    yield "received_content_bytes_total", "counter", about, _one(totals.get("octets_received", 0))
    yield "sent_bytes_total", "counter", "Octets of answers, heads too.", _one(totals.get("octets_sent", 0))
    yield "answers_cut_total", "counter", "Answers that the peer did not take whole.", _one(totals.get("cut", 0))


def _now(status: Mapping[str, Any]) -> Iterator[Family]:
    gauges = status["gauges"]
    threads, connections = gauges.get("threads", {}), gauges.get("connections", {})
    yield "requests_in_flight", "gauge", "Requests inside the application now.", _one(gauges.get("in_flight", 0))
    yield "requests_waiting", "gauge", "Whole requests that wait for a thread.", _one(gauges.get("waiting", 0))
    about = "Threads of the pools: active, parked, and how many may be active."
    yield "threads", "gauge", about, _by("state", threads)
    yield "connections", "gauge", "Connections by what they are at.", _by("state", connections)


def _workers(status: Mapping[str, Any]) -> Iterator[Family]:
    workers = status["workers"]
    states = Counter(worker["state"] for worker in workers)
    silent = sum(worker["look"] is None and worker["state"] in _SERVING for worker in workers)
    yield "workers", "gauge", "Workers by state, as the master knows them.", _by("state", states)
    yield "workers_wanted", "gauge", "Workers asked for.", _one(status["target"])
    yield "workers_silent", "gauge", "Workers that serve and did not answer the master in time.", _one(silent)
    about = "Workers forked, died unasked, replaced (recycled or stuck) and killed; reloads, and those that failed."
    yield "worker_events_total", "counter", about, _by("event", status["events"])
    memory: list[Sample] = [("", {"process": "master"}, status["resident"])]
    memory += [("", {"process": "worker", "pid": str(worker["pid"])}, worker["resident"]) for worker in workers]
    yield "resident_bytes", "gauge", "Memory held by the master and each worker.", memory


def _logs(status: Mapping[str, Any]) -> Iterator[Family]:
    totals = status["totals"]
    about = "Messages of the workers to the error log; those with an exception stand under that name."
    yield "log_messages_total", "counter", about, _by("level", totals.get("log_messages", {}))
    about = "Lines that a worker could not write to a log."
    yield "log_lost_total", "counter", about, _by("log", totals.get("log_lost", {}))


_SERVING = ("ready", "outdated", "condemned")


def _family(own_name: str, kind: str, help: str, samples: Samples) -> Iterator[str]:
    name = f"ropewalk_{own_name}"
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
    samples: list[Sample] = []
    below = 0
    for end, count in histogram["buckets"].items():
        below += count
        samples.append(("_bucket", {"le": end}, below))
    return [*samples, ("_sum", {}, histogram["seconds"]), ("_count", {}, below)]
