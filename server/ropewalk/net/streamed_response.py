"""A response that is sent while the application still produces it.

Threads meet here: those of the application that write, and another one, which sends what was gathered, or goes on
sending when the socket takes more. What they touch (the write buffer, and the connection's state while it is STREAMING
or STALLED) is guarded by `_lock`.

PEP 3333, "Buffering and Streaming": a block is passed to the kernel before the application continues, or another thread
sends it while the application produces the next. The first way costs a system call a block. So blocks that follow one
another at once go the second way: they are gathered until the other thread comes, or until they are many.

What a slow peer does not take is buffered (`net.write_buffer`), up to a size for the connection and one for all of them
(`net.response_budget`). Past these the application's thread waits for the peer, for as long as the peer reads at a
minimum rate.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from ropewalk.errors import ApplicationError, PeerGoneError
from ropewalk.http.chunked import LAST_CHUNK, encode_chunk
from ropewalk.http.response import BY_CHUNKS, UNFRAMED, Framing
from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.connection_states import CLOSED, SENDING, STALLED, STREAMING, State
from ropewalk.net.send_queue import queued_octets
from ropewalk.net.write_buffer import WriteBuffer

if TYPE_CHECKING:
    from ropewalk.net.tls import TlsSocket

log = get_logger()

# Octets buffered for a slow peer, most of them on disk, past which the application's thread waits for the peer.
HIGH_WATER = 64 * 1024 * 1024

# The same while the responses of all connections leave no room: a fraction of what the socket itself buffers.
SCARCE_HIGH_WATER = 64 * 1024

# Octets a second that a peer has to take while a thread waits for it, in each `send_timeout`: a quarter of what GPRS
# carries, the slowest connection in use. A peer that takes a byte in a while would occupy the thread for hours.
MIN_WAITED_RATE = 1024

RECHECK_SECONDS = 1.0  # between checks by a thread that waits whether others have left room

# A block written within this many seconds after the last one was sent may be gathered; the other thread comes as often.
GATHER_TIME = 0.001

WRITE_NESTED = "write() was called by a finalizer while its thread was sending the same response"

WRITE_TOO_LATE = "write() was called after the end of the response"

# Octets gathered at most: two packets of a loopback, a fraction of any socket's buffer.
MAX_GATHERED = 32 * 1024


class StreamingConnection(Protocol):
    """What a streamed response needs of its connection."""

    sock: socket.socket | TlsSocket
    fd: int
    peer: Any
    events: ConnectionEvents[Any]
    state: State
    deadline: float
    sent_octets: int
    is_close_delimited: bool
    streamed_response: StreamedResponse | None

    def move(self, state: State) -> None: ...
    def await_room(self) -> None: ...
    def cut_response(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...
    def release_request(self) -> None: ...


class StreamedResponse:
    """One streamed response of `connection`, which is RUNNING when this is made and STREAMING then."""

    __slots__ = (
        "_budget",
        "_config",
        "_connection",
        "_is_ended",
        "_is_gathering",
        "_is_given_up",
        "_lock",
        "_room",
        "_sent_at",
        "framing",
        "is_run_over",
        "peer_awaited_until",
        "remaining",
        "write_buffer",
    )

    def __init__(
        self,
        connection: StreamingConnection,
        config: ConnectionConfig,
        framing: Framing,
        length: int | None,
        begin: Iterable[bytes],
    ) -> None:
        """`length` is that of the content to be written, if it has to have one. `begin` is sent with the first."""
        self._connection = connection
        self._config = config
        self._budget = config.response_budget
        self._lock = threading.RLock()  # which knows its owner, but nothing is nested: see `write`
        self._room = threading.Condition(self._lock)
        self._is_ended = False  # from here on the connection belongs to the next request
        self._is_gathering = False  # the other thread will call `send_gathered`
        self._is_given_up = False  # nobody will see that the socket takes more
        self._sent_at = 0.0  # monotonic
        self.is_run_over = False
        self.peer_awaited_until = 0.0  # monotonic: when `write` last waited for the peer; inf while it does
        self.framing = framing
        self.remaining = length  # octets of content
        self.write_buffer = WriteBuffer(config.response_budget)
        for each in begin:
            self.write_buffer.append(each)

    def write(self, content: bytes) -> int:
        """Frame `content`, and send, gather or buffer it; waits for the peer while too much is buffered.

        By any thread of the application's. Blank content sends what is to be sent with the first. Returns how many
        octets the content has too many: they are dropped. Raises `PeerGoneError` when nobody reads the response any
        more, and `ApplicationError` after its end, and in a finalizer that a garbage collection calls while this very
        thread sends.
        """
        connection = self._connection
        excess = 0
        if self._lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks
            raise ApplicationError(WRITE_NESTED)
        with self._lock:
            if self._is_ended:
                raise ApplicationError(WRITE_TOO_LATE)
            if connection.state is CLOSED:
                raise PeerGoneError("the peer is gone")
            if self.framing is BY_CHUNKS:
                if content:
                    self.write_buffer.append(encode_chunk(content))
            elif self.framing is not UNFRAMED:
                if self.remaining is not None:
                    excess = max(0, len(content) - self.remaining)
                    if excess:
                        content = content[: self.remaining]
                    self.remaining -= len(content)
                self.write_buffer.append(content)
            if connection.state is STREAMING:
                now = monotonic()
                if now - self._sent_at > GATHER_TIME or self.write_buffer.octets > MAX_GATHERED:
                    self._sent_at = now
                    self._flush()
                elif not self._is_gathering:
                    # fast path of `_flush` for each block; test_blocks_are_sent_in_order_by_either_thread
                    self._is_gathering = True
                    connection.events.call_soon(self.send_gathered)
            if connection.state is STALLED:
                if self._has_to_wait():
                    self._wait_for_room()  # with `content` in memory, where the application still has it anyway
                if connection.state is STALLED:  # otherwise it may have been cut meanwhile, and belong to the sender
                    self.write_buffer.settle()
        return excess

    def _has_to_wait(self) -> bool:
        if self._connection.state is not STALLED or self._is_ended:
            return False
        octets = self.write_buffer.octets
        return octets > HIGH_WATER or (octets > SCARCE_HIGH_WATER and not self._budget.has_room())

    def _wait_for_room(self) -> None:
        """Wait until the peer has taken enough; `_lock` is free meanwhile. Raises `PeerGoneError` if it is too slow."""
        timeout = self._config.send_timeout
        since, taken = monotonic(), self._taken_octets()
        self.peer_awaited_until = inf
        self._budget.begin_wait()
        try:
            while self._has_to_wait():
                if self._is_given_up:
                    self._connection.close()
                    raise PeerGoneError("the server ends")
                self._room.wait(min(RECHECK_SECONDS, timeout))
                now = monotonic()
                if now - since < timeout or not self._has_to_wait():
                    continue
                now_taken = self._taken_octets()
                if now_taken - taken < MIN_WAITED_RATE * (now - since):
                    log.debug("%s takes its response too slowly for a thread to wait", self._connection.peer)
                    self._abort()
                    raise PeerGoneError("the peer is too slow")
                since, taken = now, now_taken
        finally:
            self._budget.end_wait()
            self.peer_awaited_until = monotonic()

    def _taken_octets(self) -> int:
        """What the peer itself has taken: the kernel has more, up to megabytes, which is no progress of the peer."""
        try:
            return self._connection.sent_octets - queued_octets(self._connection.fd)
        except (OSError, ValueError):
            return self._connection.sent_octets

    def send_gathered(self) -> None:
        """Send what was gathered. By the thread that comes every few milliseconds."""
        with self._lock:
            self._is_gathering = False
            if self._connection.state is STREAMING and not self._is_ended:
                self._flush_if_present()

    def end(self) -> bool:
        """The response is complete. Return True when the caller holds the connection and has to send the rest."""
        connection = self._connection
        with self._lock:
            if connection.state is CLOSED:
                raise PeerGoneError("the peer is gone")
            if self.framing is BY_CHUNKS:
                self.write_buffer.append(LAST_CHUNK)
            is_holder = connection.state is STREAMING
            connection.move(SENDING)
            self._set_ended()
            return is_holder

    def cut(self) -> bool:
        """The application failed midway: end the response so that nobody takes it for a complete one.

        What was written is sent if its framing shows that it is incomplete; otherwise the connection is reset. Return
        True when the caller holds the connection and has to send the rest.
        """
        connection = self._connection
        with self._lock:
            self._set_ended()
            if connection.state is CLOSED:
                return False
            if connection.is_close_delimited:
                if connection.state is STREAMING:
                    self._flush_if_present()  # what was gathered before the failure
                connection.abort()
                return False
            connection.cut_response()
            is_holder = connection.state is STREAMING
            connection.move(SENDING)
            return is_holder

    def reset(self) -> None:
        """Reset the connection unless the response is complete. From any thread."""
        with self._lock:
            if self._connection.state in (STREAMING, STALLED):
                self._abort()

    def stop_waiting(self) -> None:
        """The server ends: no thread waits for the peer any more. From any thread."""
        with self._lock:
            self._is_given_up = True
            self._room.notify_all()

    def release_in_child(self) -> None:
        """In a process that the application forked: another thread of the parent's may have held the lock."""
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)

    def _abort(self) -> None:
        self._connection.abort()
        self._room.notify_all()  # a thread that waits finds it closed

    def end_run(self) -> None:
        """The application has returned: from here on it does not read the content of its request."""
        self.is_run_over = True
        # After the line above: a connection that is closed now finds it True, or is found closed here.
        connection = self._connection
        if connection.state is CLOSED and connection.streamed_response is self:
            connection.release_request()

    def _set_ended(self) -> None:
        self._is_ended = True
        self._room.notify_all()  # another thread of the application that still writes

    def on_event(self) -> bool:
        """The socket takes more, or was shut down. Return True when all is written: then the caller sends."""
        connection = self._connection
        with self._lock:
            if connection.state is STALLED:
                self._flush_if_present()  # if the sweeping thread has shut the socket down, this fails
                self._room.notify_all()
                return False
            return connection.state is SENDING

    def _flush_if_present(self) -> None:
        try:
            self._flush()
        except PeerGoneError:
            log.debug("%s is gone", self._connection.peer)  # the application's thread will find it closed

    def _flush(self) -> None:
        """Send what the socket takes, and arm for the rest."""
        connection = self._connection
        try:
            connection.sent_octets += self.write_buffer.flush(connection.sock)
            if self.write_buffer.octets:
                if connection.state is STREAMING:
                    connection.move(STALLED)
                connection.await_room()
                return
        except OSError as error:  # or the epoll does not take it: nobody would ever look at it again
            connection.abort()
            raise PeerGoneError("the peer is gone") from error
        if connection.state is STALLED:
            connection.deadline = inf
            connection.move(STREAMING)
