"""A desk: a listening socket of the master's, and the conversations at it, in the master's own poll loop.

What is said there a `Handler` knows: lines of JSON (`control`), or HTTP. Nothing here ever waits: what a peer does not
take stays in memory, bounded, and a peer that is slow or says too much is cut. Main thread of the master only.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from ropewalk.logs.error_log import get_logger

MAX_CONVERSATIONS = 64
"""At one desk: a few scrapers, browsers and operators. One more is taken in the place of who was silent longest: a
few connections in which nothing is said must not keep out who asks for health."""

MAX_QUEUED_OCTETS = 32 * 1024 * 1024
"""Of answers that a peer has not taken yet."""

READ_OCTETS = 16384

SILENCE_SECONDS = 30.0
"""A conversation in which nothing moved for so long is over; `ropewalk top` says something every second."""

PAUSE_SECONDS = 1.0
"""Without accepting, when there is no descriptor left."""

PEER_CREDENTIALS = struct.Struct("3i")
"""`struct ucred` of unix(7): process, user and group."""


class Handler(Protocol):
    """What understands one peer."""

    def receive(self, octets: bytes) -> None:
        """The peer said this; the answer goes to the conversation, now or later."""


class ClientConnection:
    """One peer at a desk."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unsent = bytearray()
        self._is_ending = False
        self.moved = time.monotonic()
        self.visitor: Handler

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def is_open(self) -> bool:
        return self._sock.fileno() >= 0

    @property
    def events(self) -> int:
        return (0 if self._is_ending else select.POLLIN) | (select.POLLOUT if self._unsent else 0)

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        """Send, at once or when the peer takes it; behind what is last the conversation ends."""
        if not self.is_open:
            return
        self._unsent += octets
        self._is_ending = self._is_ending or is_last
        if len(self._unsent) > MAX_QUEUED_OCTETS:
            self.close()
        else:
            self.flush()

    def flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
                self.moved = time.monotonic()
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self._is_ending:
            # The peer reads to the end; the close comes with its own, or with the silence that follows.
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            self._drop_input()

    def on_event(self) -> None:
        self.moved = time.monotonic()
        if self._unsent:
            self.flush()
        if not self.is_open or self._is_ending:
            return
        try:
            octets = self._sock.recv(READ_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self.visitor.receive(octets)
        else:
            self.close()

    def _drop_input(self) -> None:
        with suppress(OSError):
            while self._sock.recv(READ_OCTETS):
                pass
        self.close()

    def close(self) -> None:
        self._sock.close()


class ControlListener:
    """A listening socket and who came there."""

    def __init__(
        self,
        listener: socket.socket,
        make_handler: Callable[[ClientConnection], Handler],
        *,
        is_for_own_user: bool = False,
    ) -> None:
        """`is_for_own_user`: only this process's user and root are listened to (a Unix socket)."""
        self.listener = listener
        self._make_handler = make_handler
        self._is_for_own_user = is_for_own_user
        self._conversations: list[ClientConnection] = []
        self.is_resting = False
        """Whether others answer at this socket."""
        self._accepts_from = 0.0
        """Monotonic; later than now while there is no descriptor left for a conversation."""

    def pollable(self) -> Iterator[tuple[int, int]]:
        """Descriptors and the events to be told of."""
        if not self.is_resting and time.monotonic() >= self._accepts_from:
            yield self.listener.fileno(), select.POLLIN
        for conversation in self._conversations:
            if conversation.is_open:
                yield conversation.fileno(), conversation.events

    def attend(self, ready: set[int]) -> None:
        """See to the descriptors that had an event, and end what has been silent for too long."""
        silent_since = time.monotonic() - SILENCE_SECONDS
        for conversation in self._conversations:
            if conversation.is_open and conversation.fileno() in ready:
                try:
                    conversation.on_event()
                except Exception:  # noqa: BLE001 - a fault of ours at the desk must not end the server
                    get_logger().exception("a conversation with the master failed")
                    conversation.close()
            elif conversation.moved < silent_since:
                conversation.close()
        self._conversations = [conversation for conversation in self._conversations if conversation.is_open]
        if self.listener.fileno() in ready:
            self._accept()

    def seconds_to_act(self, now: float) -> float | None:
        """Until a conversation has been silent for too long, or accepting goes on; None without any."""
        moments = [conversation.moved + SILENCE_SECONDS for conversation in self._conversations]
        if self._accepts_from > now:
            moments.append(self._accepts_from)
        return max(0.0, min(moments) - now) if moments else None

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                self._accepts_from = time.monotonic() + PAUSE_SECONDS  # it would fail at once for ever
            return  # or it went again
        sock.setblocking(False)
        if self._is_for_own_user and not is_own_user(sock):
            sock.close()
            return
        if len(self._conversations) >= MAX_CONVERSATIONS:
            longest = min(self._conversations, key=lambda one: one.moved)
            longest.close()
            self._conversations.remove(longest)
        conversation = ClientConnection(sock)
        conversation.visitor = self._make_handler(conversation)
        self._conversations.append(conversation)

    def abandon(self) -> None:
        """Close everything, in a forked child or at the end."""
        for conversation in self._conversations:
            conversation.close()
        self._conversations.clear()
        self.listener.close()


def is_own_user(sock: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket is this one's user, or root."""
    _, user, _ = PEER_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size))
    return user in (0, os.geteuid())
