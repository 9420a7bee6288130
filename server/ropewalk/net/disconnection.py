"""Whether the peer of a connection is still there, without reading from the socket: for an application that asks.

Any thread, while others use the socket.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ropewalk.net.tls import TlsSocket

GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR | select.POLLNVAL


def is_disconnected(sock: socket.socket | TlsSocket) -> bool:
    """Whether the peer has closed its end or reset the connection, or the server has closed it.

    TCP does not distinguish a peer that closed its end from one that will send no more but still reads. Almost no
    client does the latter, and proxies take it for the former. A peer that vanished without a word looks connected.
    """
    fd = sock.fileno()
    if fd < 0:
        return True
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    is_gone = any(events & GONE for _, events in poll.poll(0))
    return is_gone or sock.fileno() != fd  # closed meanwhile: the number may have been another connection's
