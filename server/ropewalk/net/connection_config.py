"""What all connections of a server have in common."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import TYPE_CHECKING

from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits

if TYPE_CHECKING:
    from ropewalk.net.connection import Connection
    from ropewalk.net.handshake import Handshake


class ConnectionConfig:
    """What all connections of a server share: limits, times in seconds, and the ways back to the pool.

    `is_draining` is set once, by the service when it stops; everybody reads it.
    """

    __slots__ = (
        "again",
        "arm",
        "body_memory",
        "body_timeout",
        "chunk_limits",
        "forget",
        "head_limits",
        "head_timeout",
        "idle_timeout",
        "is_draining",
        "on_open",
        "queued",
        "refused",
        "register",
        "send_timeout",
        "soon",
    )

    def __init__(
        self,
        *,
        head_limits: HeadLimits,
        chunk_limits: ChunkLimits,
        body_memory: int,  # octets of a body kept in memory
        idle_timeout: float,
        head_timeout: float,
        body_timeout: float,
        send_timeout: float,
        register: Callable[[int, int], None],  # epoll.register: file descriptor, events
        arm: Callable[[int, int], None],  # epoll.modify, for a descriptor that is registered
        again: Callable[[Connection], None],  # queue a connection that may have a next request
        queued: Sized,  # what is queued
        soon: Callable[[Callable[[], None]], None],  # have another thread call it within a few milliseconds
        forget: Callable[[Connection, bool], None],  # the connection is closed, and whether that cut an answer
        refused: Callable[[Connection, int], str],  # we are to answer with this status code: the fields for that
        on_open: Callable[[Connection, Handshake], None],  # the handshake is done: what it found out
    ) -> None:
        self.head_limits = head_limits
        self.chunk_limits = chunk_limits
        self.body_memory = body_memory
        self.idle_timeout = idle_timeout
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.send_timeout = send_timeout
        self.register = register
        self.arm = arm
        self.again = again
        self.queued = queued
        self.soon = soon
        self.forget = forget
        self.refused = refused
        self.on_open = on_open
        self.is_draining = False
