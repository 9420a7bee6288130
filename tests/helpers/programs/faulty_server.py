"""A server that does everything wrong now and then, each in turn, to show that the harness finds it.

    python faulty_server.py FAULT [the options of a server]

It forks workers, of which each serves one connection at a time, so that it can be started in the place of a real one.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import struct
import sys
import threading
from typing import BinaryIO

JOURNAL = os.open(os.environ["FAULTS_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
EVERY = 5  # of so many requests of a worker one meets the fault

numbers = itertools.count(1)


def serve(listener: socket.socket, fault: str) -> None:
    while True:
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as lines:
            while line := lines.readline():
                if not answer(sock, lines, line, fault if next(numbers) % EVERY == 0 else ""):
                    break


def answer(sock: socket.socket, lines: BinaryIO, line: bytes, fault: str) -> bool:
    """Answer one request, or do the other thing; whether the connection goes on."""
    length = 0
    while (field := lines.readline()) not in (b"\r\n", b""):
        if field.lower().startswith(b"content-length:"):
            length = int(field.split(b":")[1])
    lines.read(length)
    token_found, size_found = re.search(rb"token=([^&]+)", line), re.search(rb"size=(\d+)", line)
    assert token_found is not None
    assert size_found is not None
    token, size = token_found[1].decode(), int(size_found[1])
    if fault == "drop":
        return False
    if fault != "invent":
        note(token)
    if fault == "twice":
        note(token)
    if fault == "drop-run":
        return False
    if fault == "another":
        token = "another-1"
    content = f"{token} {os.getpid()} ".encode().ljust(size, b".")
    status = "503 Service Unavailable" if fault == "refuse" else "200 OK"
    whole = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    if fault == "reset":
        sock.sendall(whole[:-1])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    if fault == "cut":
        whole = whole[:-1]
    if fault == "surplus":
        whole += b"HTTP/1.1 200 OK\r\n"
    sock.sendall(whole)
    return fault != "cut"


def note(token: str) -> None:
    os.write(JOURNAL, f"{token} {os.getpid()}\n".encode())


def main() -> None:
    fault, workers = sys.argv[1], int(sys.argv[sys.argv.index("--workers") + 1])
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    pids = []
    for _ in range(workers):
        pid = os.fork()
        if not pid:
            for _ in range(20):
                threading.Thread(target=serve, args=(listener, fault), daemon=True).start()
            signal.pause()
        pids.append(pid)

    def kill_workers(number: int, frame: object) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, kill_workers)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
