"""What systemd does for a service with socket units: opens the sockets, from descriptor 3 on, and runs the command.

    python socket_activation.py KIND[,KIND...] NAME[:NAME...] COMMAND...

A KIND is `tcp` (a free port of 127.0.0.1), `datagram`, or the path of a Unix socket.
"""

from __future__ import annotations

import os
import socket
import sys

FIRST = 3
OUT_OF_THE_WAY = 100


def open_socket(kind: str) -> socket.socket:
    if kind == "tcp":
        return socket.create_server(("127.0.0.1", 0))
    if kind == "datagram":
        return socket.socket(type=socket.SOCK_DGRAM)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(kind)
    listener.listen()
    return listener


def main() -> None:
    kinds, names, *command = sys.argv[1:]
    sockets = [open_socket(kind) for kind in kinds.split(",")]
    for number, listener in enumerate(sockets):
        os.dup2(listener.fileno(), OUT_OF_THE_WAY + number)
        sys.stdout.write(f"socket {FIRST + number}: {listener.getsockname()}\n")
        listener.close()
    sys.stdout.flush()
    for number in range(len(sockets)):
        os.dup2(OUT_OF_THE_WAY + number, FIRST + number)
        os.close(OUT_OF_THE_WAY + number)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names}
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
