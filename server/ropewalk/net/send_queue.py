"""How much of what was sent its peer has not taken yet.

A socket reports room for output only once a third of its send buffer is free. The kernel lets that buffer grow to
megabytes, so a peer may read steadily for minutes before the next such event. Only the queue shows it sooner.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ropewalk.portable import IS_LINUX_POLLING

if TYPE_CHECKING or IS_LINUX_POLLING:
    from fcntl import ioctl
    from termios import TIOCOUTQ

_ROOM = bytes(4)  # for the int that the kernel returns


def _queued_octets(fd: int) -> int:
    """What waits in the send queue of a socket: over TCP, octets that the peer has not acknowledged (tcp(7)).

    Over a Unix socket: memory of what the peer has not read. Raises `OSError` or `ValueError` if it is closed.
    """
    return int.from_bytes(ioctl(fd, TIOCOUTQ, _ROOM), sys.byteorder)


def _unknown(fd: int) -> int:
    """On another system only what the socket takes counts."""
    return 0


queued_octets = _queued_octets if IS_LINUX_POLLING else _unknown
