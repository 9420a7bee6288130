"""Whether the peer of a connection is still there, without reading from the socket: for an application that asks.

Any thread, while others use the socket.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ropewalk.portable import POLLERR, POLLHUP, POLLNVAL, POLLRDHUP, Poll

if TYPE_CHECKING:
    from ropewalk.net.tls import TlsSocket

GONE = POLLRDHUP | POLLHUP | POLLERR | POLLNVAL


def is_disconnected(sock: socket.socket | TlsSocket) -> bool:
    """Whether the peer has closed its end or reset the connection, or the server has closed it.

    TCP does not distinguish a peer that closed its end from one that will send no more but still reads. Almost no
    client does the latter, and proxies take it for the former. A peer that vanished without a word looks connected.
    """
    fd = sock.fileno()
    if fd < 0:
        return True
    if not POLLRDHUP:
        return _has_ended(sock)
    poll = Poll()
    poll.register(fd, POLLRDHUP)
    is_gone = any(events & GONE for _, events in poll.poll(0))
    return is_gone or sock.fileno() != fd  # closed meanwhile: the number may have been another connection's


def _has_ended(sock: socket.socket | TlsSocket) -> bool:
    """The same where poll(2) does not report it; it does not see the end of a TLS connection."""
    try:
        return isinstance(sock, socket.socket) and not sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
