"""A socket pair over which the master queries a worker, and the thread of the worker that responds.

A query is a line of JSON, `{"id": 7, "query": "status"}`, and so is its result, `{"id": 7, "result": ...}`. The
thread runs no code of the application: it responds while every other thread is stuck.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ropewalk.logs.error_log import get_logger

READ_OCTETS = 65536

MAX_RESULT_OCTETS = 16 * 1024 * 1024
"""Far more than the stacks of the most threads that a worker may have; beyond it, the worker is broken."""

Queries = Mapping[str, Callable[[], Any]]
"""By name, what makes the result: plain tables."""


class Channel:
    """The master's end. Main thread of the master only; never blocks."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._partial = bytearray()
        self.is_open = True

    def fileno(self) -> int:
        return self._sock.fileno()

    def send_query(self, number: int, name: str) -> bool:
        """Send a query; False if the worker takes none: it is gone, or has many that it has not read."""
        try:
            octets = json.dumps({"id": number, "query": name}).encode() + b"\n"
            return self.is_open and self._sock.send(octets) == len(octets)
        except OSError:
            return False

    def read_results(self) -> list[dict[str, Any]]:
        """The results that have arrived completely."""
        try:
            while self.is_open:
                octets = self._sock.recv(READ_OCTETS)
                self._partial += octets
                if not octets or len(self._partial) > MAX_RESULT_OCTETS:
                    self.is_open = False
        except BlockingIOError:
            pass
        except OSError:
            self.is_open = False
        *lines, rest = self._partial.split(b"\n")
        self._partial = bytearray(rest)
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self.is_open = False
        self._sock.close()


def start_responder(sock: socket.socket, queries: Queries) -> threading.Thread:
    """Respond to the queries that come over `sock`, the worker's end, until the master is gone."""
    sock.setblocking(True)
    thread = threading.Thread(target=_respond, args=(sock, queries), name="ropewalk-control", daemon=True)
    thread.start()
    return thread


def _respond(sock: socket.socket, queries: Queries) -> None:
    with suppress(OSError), sock, sock.makefile("rb") as lines:
        for line in lines:
            query = json.loads(line)
            result = {"id": query["id"], "result": _run(queries, query["query"])}
            sock.sendall(json.dumps(result).encode() + b"\n")


def _run(queries: Queries, name: str) -> Any:
    query = queries.get(name)
    if query is None:
        return None
    try:
        return query()
    except Exception:  # noqa: BLE001 - an internal error must not end the thread
        get_logger().exception("Internal error: the query %r failed", name)
        return None
