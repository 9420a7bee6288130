"""An answer that is sent while the application still makes it.

Two threads meet here: the application's, which writes, and the one that an event wakes when the socket takes more.
Whatever both touch (the outbox, and the connection's state while it is STREAMING or STALLED) is under `_lock`.
"""

from __future__ import annotations

import socket
import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ropewalk.net.outbox import Outbox
from ropewalk.net.states import State
from ropewalk.observe.log import get_logger

if TYPE_CHECKING:
    from ropewalk.net.connection import Connection

log = get_logger()

# Octets queued for a slow peer, most of them on disk, past which the application's thread waits for it.
HIGH_WATER = 64 * 1024 * 1024


class PeerGoneError(OSError):
    """The peer closed, or did not take its answer in time: the answer has no reader any more."""


class Stream:
    """One streamed answer of `connection`, which its `begin` takes from RUNNING to STREAMING."""

    __slots__ = ("_connection", "_lock", "_room", "outbox")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self.outbox = Outbox()

    def write(self, content: bytes) -> None:
        """Send or queue `content`; waits only while more than `HIGH_WATER` is queued. By the application's thread.

        Raises `PeerGoneError` when the answer has no reader any more, `OSError` when it cannot be queued.
        """
        connection = self._connection
        with self._lock:
            if connection.state is State.CLOSED:
                raise PeerGoneError("the peer is gone")
            self.outbox.append(content)
            if connection.state is State.STREAMING:
                self._flush()
            while connection.state is State.STALLED and self.outbox.octets > HIGH_WATER:
                self._room.wait()

    def end(self) -> bool:
        """The application made the last of it. Return True when the caller holds the connection and is to send."""
        connection = self._connection
        with self._lock:
            if connection.state is State.CLOSED:
                raise PeerGoneError("the peer is gone")
            is_holder = connection.state is State.STREAMING
            connection.move(State.SENDING)
            return is_holder

    def cut(self) -> None:
        """The application failed midway: end the answer so that nobody takes it for whole."""
        connection = self._connection
        with self._lock:
            if connection.state is State.STREAMING:
                connection.abort()
            elif connection.state is State.STALLED:  # armed: whoever gets the event finds a deadline that has passed
                connection.move(State.SENDING)
                connection.deadline = -inf
                connection.wake(socket.SHUT_RDWR)

    def on_event(self) -> bool:
        """The socket takes more, or a deadline passed. Return True when the stream had ended and the caller sends."""
        connection = self._connection
        with self._lock:
            if connection.state is State.STALLED:
                if monotonic() >= connection.deadline:
                    log.debug("%s did not take its answer in time", connection.peer)
                    connection.abort()
                else:
                    self._progress()
                self._room.notify_all()
                return False
            return connection.state is State.SENDING

    def _progress(self) -> None:
        try:
            self._flush()
        except PeerGoneError:
            log.debug("%s is gone", self._connection.peer)  # the application's thread will find it closed

    def _flush(self) -> None:
        """Send what the socket takes, and arm for the rest."""
        connection = self._connection
        try:
            sent = self.outbox.flush(connection.sock)
        except OSError as error:
            connection.abort()
            raise PeerGoneError("the peer is gone") from error
        connection.sent_octets += sent
        if self.outbox.octets:
            connection.deadline = monotonic() + connection.terms.send_timeout
            if connection.state is State.STREAMING:
                connection.move(State.STALLED)
            connection.arm_for_output()
        elif connection.state is State.STALLED:
            connection.deadline = inf
            connection.move(State.STREAMING)
