"""Send a list of requests to a server, and print their response times: one run of the check.

    python -m plan.load HOST:PORT CONNECTIONS < requests.json

Reads `[[due, computes, waits], ...]` in seconds. Prints an object: `times` of responses, the `seconds` that all of it
took, the number of `failures`, and for each of the `connections` the number of its worker. These take turns.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys

from bench.loads.connection import Connection, get, parse_address, receive
from bench.loads.open_loop import OpenLoop

MICROSECONDS = 1e6


def path(computes: float, waits: float) -> str:
    """The path that makes `plan.application` compute and wait for so many seconds."""
    return f"/{round(computes * MICROSECONDS)}/{round(waits * MICROSECONDS)}"


def identify(connection: Connection) -> bytes:
    """The process that serves a connection."""
    connection.sock.setblocking(True)
    connection.sock.sendall(get(path(0, 0)))
    worker = receive(connection.sock).rpartition(b"\r\n\r\n")[2]
    connection.sock.setblocking(False)
    return worker


def open_alternating(address: tuple[str, int], count: int) -> tuple[list[Connection], list[int]]:
    """Connections ordered so that one follows to each worker in turn, as far as each has some; and their workers."""
    by_worker: dict[bytes, list[Connection]] = {}
    for connection in [Connection(address) for _ in range(count)]:
        by_worker.setdefault(identify(connection), []).append(connection)
    rounds = itertools.zip_longest(*by_worker.values())
    found = [(one, number) for each in rounds for number, one in enumerate(each) if one is not None]
    return [one for one, _ in found], [number for _, number in found]


def main() -> None:
    bind, connections = sys.argv[1:]
    requests = json.load(sys.stdin)
    schedule = [(due, get(path(computes, waits))) for due, computes, waits in requests]
    gc.disable()
    opened, workers = open_alternating(parse_address(bind), int(connections))
    loop = OpenLoop(schedule, opened)
    found = loop.run()
    result = {
        "times": loop.latencies,
        "seconds": found["seconds"],
        "failures": found["failures"],
        "connections": workers,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
