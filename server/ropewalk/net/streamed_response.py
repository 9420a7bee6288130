"""An answer that is sent while the application still makes it.

Two threads meet here: the application's, which writes, and another one, that an event wakes when the socket takes more,
or that sends what was gathered. Whatever both touch (the outbox, and the connection's state while it is STREAMING or
STALLED) is under `_lock`.

PEP 3333, "Buffering and Streaming": a block is handed to the kernel before the application goes on, or another thread
sends it while the application makes the next. The first way costs a system call each, so that blocks which follow one
another at once go the second: they are gathered until the other thread's next look, or until they are many.
"""

from __future__ import annotations

import socket
import threading
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection_states import CLOSED, SENDING, STALLED, STREAMING
from ropewalk.net.write_buffer import WriteBuffer

if TYPE_CHECKING:
    from ropewalk.net.connection import Connection

log = get_logger()

# Octets queued for a slow peer, most of them on disk, past which the application's thread waits for it.
HIGH_WATER = 64 * 1024 * 1024

# A block made within so many seconds behind the last one sent may be gathered; the other thread looks as often.
GATHER_TIME = 0.001

# Octets gathered at most: two packets of a loopback, a fraction of any socket's buffer.
MAX_GATHERED = 32 * 1024


class PeerGoneError(OSError):
    """The peer closed, or did not take its answer in time: the answer has no reader any more."""


class StreamedResponse:
    """One streamed answer of `connection`, which its `begin` takes from RUNNING to STREAMING."""

    __slots__ = ("_connection", "_is_gathering", "_lock", "_room", "_sent_at", "write_buffer")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._is_gathering = False  # the other thread will look here
        self._sent_at = 0.0  # monotonic
        self.write_buffer = WriteBuffer()

    def write(self, content: bytes) -> None:
        """Send, gather or queue `content`, by the application's thread; waits while more than `HIGH_WATER` is queued.

        Raises `PeerGoneError` when the answer has no reader any more, `OSError` when it cannot be queued.
        """
        connection = self._connection
        with self._lock:
            if connection.state is CLOSED:
                raise PeerGoneError("the peer is gone")
            self.write_buffer.append(content)
            if connection.state is STREAMING:
                now = monotonic()
                if now - self._sent_at > GATHER_TIME or self.write_buffer.octets > MAX_GATHERED:
                    self._sent_at = now
                    self._flush()
                elif not self._is_gathering:
                    self._is_gathering = True
                    connection.config.soon(self.send_gathered)
            while connection.state is STALLED and self.write_buffer.octets > HIGH_WATER:
                self._room.wait()

    def send_gathered(self) -> None:
        """Send what was gathered since. By the thread that looks every few milliseconds."""
        with self._lock:
            self._is_gathering = False
            if self._connection.state is STREAMING:
                self._progress()

    def end(self) -> bool:
        """The application made the last of it. Return True when the caller holds the connection and is to send."""
        connection = self._connection
        with self._lock:
            if connection.state is CLOSED:
                raise PeerGoneError("the peer is gone")
            is_holder = connection.state is STREAMING
            connection.move(SENDING)
            return is_holder

    def cut(self) -> None:
        """The application failed midway: end the answer so that nobody takes it for whole."""
        connection = self._connection
        with self._lock:
            if connection.state is STREAMING:
                self._progress()  # what was gathered stood before the failure
                connection.abort()
            elif connection.state is STALLED:  # armed: whoever gets the event finds a deadline that has passed
                connection.move(SENDING)
                connection.deadline = -inf
                connection.wake(socket.SHUT_RDWR)

    def on_event(self) -> bool:
        """The socket takes more, or a deadline passed. Return True when the stream had ended and the caller sends."""
        connection = self._connection
        with self._lock:
            if connection.state is STALLED:
                if monotonic() >= connection.deadline:
                    log.debug("%s did not take its answer in time", connection.peer)
                    connection.abort()
                else:
                    self._progress()
                self._room.notify_all()
                return False
            return connection.state is SENDING

    def _progress(self) -> None:
        try:
            self._flush()
        except PeerGoneError:
            log.debug("%s is gone", self._connection.peer)  # the application's thread will find it closed

    def _flush(self) -> None:
        """Send what the socket takes, and arm for the rest."""
        connection = self._connection
        try:
            sent = self.write_buffer.flush(connection.sock)
        except OSError as error:
            connection.abort()
            raise PeerGoneError("the peer is gone") from error
        connection.sent_octets += sent
        if self.write_buffer.octets:
            connection.deadline = monotonic() + connection.config.send_timeout
            if connection.state is STREAMING:
                connection.move(STALLED)
            connection.arm_for_output()
        elif connection.state is STALLED:
            connection.deadline = inf
            connection.move(STREAMING)
