"""The keys of a server's status, of which `metrics.snapshot` has the only definitions."""

from __future__ import annotations

import re
import socket
from typing import Any, get_args, get_type_hints, is_typeddict

from ropewalk.config.settings import make_settings
from ropewalk.control.status_page import PAGE
from ropewalk.metrics import snapshot
from ropewalk.metrics.counters import no_counters
from ropewalk.runtime.service import Service
from tests.helpers.embedded import answering
from tests.helpers.statuses import server_status


def assert_has_keys(value: Any, definition: Any) -> None:
    """Every TypedDict in `definition` has just its keys in `value`."""
    if is_typeddict(definition):
        hints = get_type_hints(definition)
        assert value.keys() == hints.keys()
        for name, hint in hints.items():
            assert_has_keys(value[name], hint)
    elif isinstance(value, list):
        for item in value:
            assert_has_keys(item, get_args(definition)[0])
    elif value is not None:
        for alternative in get_args(definition):
            if is_typeddict(alternative):
                assert_has_keys(value, alternative)


def test_a_service_reports_every_key() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    service = Service(answering(), [listener], make_settings())
    try:
        assert_has_keys(service.snapshot(), snapshot.WorkerSnapshot)
    finally:
        service.close()
        listener.close()


def test_a_fresh_worker_has_counted_nothing() -> None:
    assert_has_keys(no_counters(), snapshot.Counters)
    assert_has_keys(server_status(), snapshot.ServerStatus)


OBJECTS_OF_THE_PAGE = {
    "s": snapshot.ServerStatus,
    "t": snapshot.Counters,
    "first": snapshot.Counters,
    "g": snapshot.Gauges,
    "h": snapshot.Gauges,
    "th": snapshot.Threads,
    "w": snapshot.WorkerStatus,
    "w.snapshot": snapshot.WorkerSnapshot,
    "t.duration": snapshot.Histogram,
    "t.queue": snapshot.Histogram,
}
"""By the names that the status page's script gives to them."""


def test_the_status_page_reads_keys_that_exist() -> None:
    script = PAGE.partition("<script>")[2]
    for name, definition in OBJECTS_OF_THE_PAGE.items():
        read = set(re.findall(rf"(?<![\w.$]){re.escape(name)}\.([a-zA-Z_]+)\b(?!\()", script))
        assert read, name
        assert read <= get_type_hints(definition).keys(), name
