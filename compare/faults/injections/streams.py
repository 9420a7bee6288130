"""Responses that stream: more of them than there are threads."""

from __future__ import annotations

import socket

from faults.run.client import TIMEOUT, new_token
from faults.run.scenario import ScenarioRun

STREAMS = 40
MILLISECONDS = 5000  # for which each streams, from its first piece to its last
LAST_CHUNK = b"\r\n0\r\n\r\n"


def open_streams(run: ScenarioRun) -> None:
    """Open them all at once, and let them end; the load goes on meanwhile."""
    run.pause(0.5)
    streams = [_open(run) for _ in range(STREAMS)]
    run.pause(MILLISECONDS / 1000)
    cut = sum(not _ends_whole(stream) for stream in streams)
    run.expect(not cut, f"{cut} of {STREAMS} streams did not end within {TIMEOUT:g} s more")
    run.pause(1)


def _open(run: ScenarioRun) -> socket.socket:
    sock = socket.create_connection(run.server.address, TIMEOUT)
    milliseconds = round(MILLISECONDS * run.pace)
    sock.sendall(
        f"GET /stream?token={new_token('stream')}&size=100&ms={milliseconds} HTTP/1.1\r\nHost: faults\r\n\r\n".encode()
    )
    return sock


def _ends_whole(sock: socket.socket) -> bool:
    received = b""
    with sock:
        try:
            while not received.endswith(LAST_CHUNK):
                data = sock.recv(65536)
                if not data:
                    return False
                received += data
        except OSError:
            return False
    return True
