"""How much of what was sent its peer has not taken yet.

A socket reports room for output only once a third of its send buffer is free. The kernel lets that buffer grow to
megabytes, so a peer may read steadily for minutes before the next such event. Only the queue shows it sooner.
"""

from __future__ import annotations

import sys
from fcntl import ioctl
from termios import TIOCOUTQ

_ROOM = bytes(4)  # for the int that the kernel returns


def queued_octets(fd: int) -> int:
    """What waits in the send queue of a socket: over TCP, octets that the peer has not acknowledged (tcp(7)).

    Over a Unix socket: memory of what the peer has not read. Raises `OSError` or `ValueError` if it is closed.
    """
    return int.from_bytes(ioctl(fd, TIOCOUTQ, _ROOM), sys.byteorder)
