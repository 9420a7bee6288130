"""TCP ports for programs that must be told one."""

from __future__ import annotations

import random
import socket

FIRST, LAST = 20000, 32000
"""Below the ports that the kernel gives to clients and to those who bind port 0: between the choice and the moment at
which the program listens, which may be half a minute, nobody gets it by chance."""

_taken: list[socket.socket] = []
"""Abstract Unix sockets, one for each port that this process has chosen: other processes of the tests see them."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, for this process of the tests until it ends."""
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0ropewalk-tests-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _taken.append(mark)
        return port
    raise OSError(f"no free port from {FIRST} to {LAST}")
