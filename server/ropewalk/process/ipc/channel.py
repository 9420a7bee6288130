"""A pair of sockets over which a master asks a worker, and a thread of the worker that answers.

A question is a line of JSON, `{"id": 7, "ask": "status"}`, and so is its answer, `{"id": 7, "answer": ...}`. The thread
runs no code of the application: it answers while every other thread is stuck.
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

MAX_ANSWER_OCTETS = 16 * 1024 * 1024
"""Far more than the stacks of the most threads that a worker may have; past it the worker is not one of ours."""

Answers = Mapping[str, Callable[[], Any]]
"""By what is asked: what makes the answer, in plain tables."""


class Channel:
    """The master's end. Main thread of the master only; never waits."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._partial = bytearray()
        self.is_open = True

    def fileno(self) -> int:
        return self._sock.fileno()

    def ask(self, number: int, question: str) -> bool:
        """Send a question; False when the worker takes none: it is gone, or has not read a great many."""
        try:
            octets = json.dumps({"id": number, "ask": question}).encode() + b"\n"
            return self.is_open and self._sock.send(octets) == len(octets)
        except OSError:
            return False

    def read(self) -> list[dict[str, Any]]:
        """The answers that are whole by now."""
        try:
            while self.is_open:
                octets = self._sock.recv(READ_OCTETS)
                self._partial += octets
                if not octets or len(self._partial) > MAX_ANSWER_OCTETS:
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


def start_answering(sock: socket.socket, answers: Answers) -> threading.Thread:
    """Answer questions that come over `sock`, the worker's end, until the master is gone."""
    sock.setblocking(True)
    thread = threading.Thread(target=_answer, args=(sock, answers), name="ropewalk-control", daemon=True)
    thread.start()
    return thread


def _answer(sock: socket.socket, answers: Answers) -> None:
    with suppress(OSError), sock, sock.makefile("rb") as lines:
        for line in lines:
            question = json.loads(line)
            sock.sendall(json.dumps({"id": question["id"], "answer": _make(answers, question["ask"])}).encode() + b"\n")


def _make(answers: Answers, name: str) -> Any:
    make = answers.get(name)
    if make is None:
        return None
    try:
        return make()
    except Exception:  # noqa: BLE001 - a fault of ours here must not leave the worker without a voice
        get_logger().exception("a question of the master's, %r, could not be answered", name)
        return None
