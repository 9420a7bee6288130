"""A server with a fault in every fifth request, to show that the harness finds it.

    python faulty_server.py FAULT [the options of a server]

It forks workers of 20 threads, so that it can replace a real server.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import signal
import socket
import struct
import sys
import threading

JOURNAL = os.open(os.environ["FAULTS_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
EVERY = 5  # one request of so many meets the fault, in each worker
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset

numbers = itertools.count(1)


def serve(listener: socket.socket, fault: str) -> None:
    while True:
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as file:
            while line := file.readline():
                if not respond(sock, file, line, fault if next(numbers) % EVERY == 0 else ""):
                    break


def respond(sock: socket.socket, file: io.BufferedReader, line: bytes, fault: str) -> bool:
    """Respond to one request, or do what the fault says; return whether the connection stays open."""
    length = 0
    while (field := file.readline()) not in (b"\r\n", b""):
        if field.lower().startswith(b"content-length:"):
            length = int(field.split(b":")[1])
    file.read(length)
    token = argument(rb"token=([^&]+)", line).decode()
    size = int(argument(rb"size=(\d+)", line))
    if fault == "drop":
        return False
    if fault != "invent":
        record(token)
    if fault == "twice":
        record(token)
    if fault == "drop-run":
        return False
    if fault == "another":
        token = "another-1"
    content = f"{token} {os.getpid()} ".encode().ljust(size, b".")
    status = "503 Service Unavailable" if fault == "refuse" else "200 OK"
    response = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    if fault == "reset":
        sock.sendall(response[:-1])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return False
    if fault == "cut":
        response = response[:-1]
    if fault == "surplus":
        response += b"HTTP/1.1 200 OK\r\n"
    sock.sendall(response)
    return fault != "cut"


def argument(pattern: bytes, line: bytes) -> bytes:
    found = re.search(pattern, line)
    assert found is not None
    return found[1]


def record(token: str) -> None:
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

    def kill_workers(*_: object) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, kill_workers)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
