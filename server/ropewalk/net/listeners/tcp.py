"""A listening TCP socket that can be closed without cutting anybody off.

A connection that the kernel has set up and nobody has accepted is reset when its listening socket is closed: the client
has connected, has perhaps sent its request, and is told neither that it was served nor that it was not. So before it is
closed, the kernel is told to leave every new attempt (a packet with SYN and without ACK) unanswered. What waits is
accepted, the socket is closed, and who was left waiting tries again a second later, as TCP does, and is refused.
"""

from __future__ import annotations

import array
import socket
import struct
from typing import Final

__all__ = ["TcpListener"]

SO_ATTACH_FILTER: Final = 26
"""socket(7); Python's module has no name for it."""

_DROP_ATTEMPTS: Final = (
    (0x30, 0, 0, 13),  # load the octet of the TCP header that holds the flags
    (0x54, 0, 0, 0x12),  # of these ACK and SYN
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then nothing of the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else all of it
)
"""Instructions of the classic packet filter, `struct sock_filter`: code, jump if true, jump if false, operand."""


class TcpListener(socket.socket):
    """A listening socket that this server made; it is shared with nobody but its own processes."""

    def refuse_new_connections(self) -> bool:
        """Leave new attempts to connect unanswered, in whichever process this socket is; False if that cannot be."""
        code = array.array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_ATTEMPTS))
        address, _ = code.buffer_info()
        try:
            self.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_ATTEMPTS), address))
        except OSError:  # a sandbox, or closed already
            return False
        return True
