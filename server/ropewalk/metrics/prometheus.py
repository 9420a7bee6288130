"""The status of a server in Prometheus's text format 0.0.4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ropewalk.metrics.snapshot import Histogram, ServerStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the metric's name, labels, value."""

Samples = Iterable[Sample]

Family = tuple[str, str, str, Samples]
"""Name without its prefix, type, help and samples."""


def exposition(status: ServerStatus) -> str:
    """The page of metrics."""
    groups = (_server, _requests, _load, _workers, _logs)
    return "".join(text for group in groups for family in group(status) for text in _family(*family))


def _server(status: ServerStatus) -> Iterator[Family]:
    yield "info", "gauge", "The server.", [("", {"version": status["version"], "build": status["build"]}, 1)]
    yield "ready", "gauge", "1 if the server accepts new requests.", _one(int(status["ready"]))
    yield "uptime_seconds", "gauge", "Seconds since the master started.", _one(status["uptime"])


def _requests(status: ServerStatus) -> Iterator[Family]:
    totals = status["totals"]
    about = "Responses of the application, by class of status."
    yield "requests_total", "counter", about, _by("status", totals["responses"])
    about = "Responses of the server itself: client errors (4xx), overload (503), timeouts (408, 504)."
    yield "refused_total", "counter", about, _by("status", totals["refused"])
    about = "Refused because of overload: too many connections, too many waiting requests, or one that waited too long."
    yield "shed_total", "counter", about, _by("reason", totals["shed"])
    about = "Idle connections closed to let new ones in, because descriptors or --limit-connections ran out."
    yield "closed_idle_total", "counter", about, _by("reason", totals["closed_idle"])
    about = "From the start of the application to the end of its response."
    yield "request_duration_seconds", "histogram", about, _histogram(totals["duration"])
    about = "From a trusted proxy's X-Request-Start to the start of the application."
    yield "queue_seconds", "histogram", about, _histogram(totals["queue"])
    yield "received_content_bytes_total", "counter", "Bytes of request content.", _one(totals["received_bytes"])
    yield "sent_bytes_total", "counter", "Bytes of responses, including heads.", _one(totals["sent_bytes"])
    about = "Responses that the client did not receive completely."
    yield "responses_aborted_total", "counter", about, _one(totals["aborted"])


def _load(status: ServerStatus) -> Iterator[Family]:
    gauges = status["gauges"]
    threads = gauges["threads"]
    states = {"active": threads["active"], "parked": threads["parked"], "limit": threads["limit"]}
    yield "requests_in_flight", "gauge", "Requests inside the application.", _one(gauges["in_flight"])
    about = "Requests inside the application whose responses stream: each occupies a thread."
    yield "requests_streaming", "gauge", about, _one(gauges["streaming"])
    yield "requests_waiting", "gauge", "Complete requests that wait for a thread.", _one(gauges["waiting"])
    yield "threads", "gauge", "Threads: active, parked, and the limit of active ones.", _by("state", states)
    yield "connections", "gauge", "Connections by state.", _by("state", gauges["connections"])
    about = "Threads that wait until a slow client has taken more of its response."
    yield "threads_waiting_for_clients", "gauge", about, _one(gauges["waiting_for_clients"])
    about = "What clients make the workers keep: bodies of requests, and responses that they have not taken yet."
    yield "buffered_bytes", "gauge", about, _by("what", gauges["buffered_bytes"])


def _workers(status: ServerStatus) -> Iterator[Family]:
    workers = status["workers"]
    states = Counter(worker["state"] for worker in workers)
    silent = sum(worker["snapshot"] is None and worker["state"] in _SERVING for worker in workers)
    yield "workers", "gauge", "Workers by state.", _by("state", states)
    yield "workers_wanted", "gauge", "The number of workers asked for.", _one(status["target"])
    yield "workers_silent", "gauge", "Serving workers that did not reply to the master in time.", _one(silent)
    about = "Workers forked, died, replaced (recycled or stuck) and killed; reloads and failed reloads."
    yield "worker_events_total", "counter", about, _by("event", status["events"])
    memory: list[Sample] = [("", {"process": "master"}, status["resident"])]
    memory += [("", {"process": "worker", "pid": str(worker["pid"])}, worker["resident"]) for worker in workers]
    yield "resident_bytes", "gauge", "Memory of the master and each worker.", memory


def _logs(status: ServerStatus) -> Iterator[Family]:
    totals = status["totals"]
    about = "Messages of the workers to the error log; those with an exception count under that name only."
    yield "log_messages_total", "counter", about, _by("level", totals["log_messages"])
    about = "Lines that a worker could not write to a log."
    yield "log_lost_total", "counter", about, _by("log", totals["log_lost"])


_SERVING = ("ready", "outdated", "retiring")


def _family(short_name: str, kind: str, help: str, samples: Samples) -> Iterator[str]:
    name = f"ropewalk_{short_name}"
    yield f"# HELP {name} {help}\n# TYPE {name} {kind}\n"
    for suffix, labels, value in samples:
        shown = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{{{shown}}} {value}\n" if shown else f"{name}{suffix} {value}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _one(value: float) -> Samples:
    return [("", {}, value)]


def _by(label: str, table: Mapping[str, float]) -> Samples:
    return [("", {label: name}, value) for name, value in sorted(table.items())]


def _histogram(histogram: Histogram) -> Samples:
    samples: list[Sample] = []
    below = 0
    for bound, count in histogram["buckets"].items():
        below += count
        samples.append(("_bucket", {"le": bound}, below))
    return [*samples, ("_sum", {}, histogram["seconds"]), ("_count", {}, below)]
