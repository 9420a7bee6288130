"""TCP ports for programs that take the number of theirs as an option."""

from __future__ import annotations

import os
import random
import socket

PORTS = range(20000, 32000)
"""Below the ports that the kernel gives to clients and to those who bind port 0: between the choice and the moment at
which the program listens, which may be half a minute, nobody gets it by chance."""

_chosen: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and that no other test of this run is given."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = set(PORTS[number % processes :: processes]) - _chosen
    for port in random.sample(sorted(ports), len(ports)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _chosen.add(port)
        return port
    raise OSError(f"no free port from {PORTS[0]} to {PORTS[-1]}")
