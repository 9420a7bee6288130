"""A server's status, as a master with one busy worker makes it."""

from __future__ import annotations

from ropewalk.metrics.counters import add_counters, add_gauges, no_counters
from ropewalk.metrics.snapshot import Counters, Gauges, ServerStatus, WorkerSnapshot, WorkerStatus


def server_status(counters: Counters | None = None) -> ServerStatus:
    """Workers: 8 serves and has counted `counters`, 9 and 11 boot, 10 does not respond."""
    counted = counters or no_counters()
    gauges: Gauges = {
        "in_flight": 1,
        "streaming": 1,
        "waiting": 0,
        "threads": {"active": 2, "parked": 15, "limit": 3},
        "connections": {"idle": 2},
        "waiting_for_clients": 2,
        "buffered_bytes": {"request_bodies": 3 << 20},
    }
    snapshot: WorkerSnapshot = {
        "counters": counted,
        "gauges": gauges,
        "running": [{"thread": 1, "request": "GET '/\x1b[31m" + "x" * 200 + "'", "seconds": 1.5}],
    }
    return {
        "version": "1",
        "build": "pure",
        "pid": 7,
        "state": "serving",
        "ready": True,
        "uptime": 90.0,
        "resident": 1 << 20,
        "target": 2,
        "last_reload_failure": "",
        "events": {"forked": 2, "failed_reloads": 0},
        "upgrade": {"predecessor": 0, "successor": 0, "successor_ready": False, "last_failure": ""},
        "workers": [
            _worker(8, "ready", 90.0, snapshot),
            _worker(9, "booting", 0.1),
            _worker(11, "stale", 0.1),
            _worker(10, "ready", 7200.0),
        ],
        "totals": add_counters([counted]),
        "gauges": add_gauges([gauges]),
    }


def _worker(pid: int, state: str, age: float, snapshot: WorkerSnapshot | None = None) -> WorkerStatus:
    return {"pid": pid, "state": state, "age": age, "resident": 2 << 20, "snapshot": snapshot}
