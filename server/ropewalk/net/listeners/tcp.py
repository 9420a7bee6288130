"""A listening TCP socket that can be closed without resetting a connection.

When a listening socket is closed, the kernel resets the connections that it has established and nobody has accepted:
such a client may have sent its request, and does not learn whether it was served. So before the socket is closed, the
kernel is made to ignore new attempts to connect (a packet with SYN and without ACK). Connections in the backlog are
accepted, then the socket is closed; a client whose attempt was ignored tries again a second later, as TCP does, and is
refused.
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
    """A listening socket that this server made, and shares with its own processes only."""

    def refuse_new_connections(self) -> bool:
        """Ignore new attempts to connect, in every process that has this socket; False if that is not possible."""
        code = array.array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_ATTEMPTS))
        address, _ = code.buffer_info()
        try:
            self.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_ATTEMPTS), address))
        except OSError:  # a sandbox, or closed already
            return False
        return True
