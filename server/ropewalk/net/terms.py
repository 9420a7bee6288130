"""What all connections of a server have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.http.chunked import ChunkLimits
from ropewalk.http.head import HeadLimits

if TYPE_CHECKING:
    from ropewalk.net.connection import Connection
    from ropewalk.net.opening import Opening


@dataclass(slots=True)
class Terms:
    """What all connections of a server share: limits, times in seconds, and the ways back to the pool.

    `is_draining` is set once, by the service when it stops; everybody reads it.
    """

    head_limits: HeadLimits
    chunk_limits: ChunkLimits
    body_memory: int  # octets of a body kept in memory
    idle_timeout: float
    head_timeout: float
    body_timeout: float
    send_timeout: float
    register: Callable[[int, int], None]  # epoll.register: file descriptor, events
    arm: Callable[[int, int], None]  # epoll.modify, for a descriptor that is registered
    again: Callable[[Connection], None]  # queue a connection that may have a next request in its buffer
    soon: Callable[[Callable[[], None]], None]  # have another thread call it within a few milliseconds
    forget: Callable[[Connection, bool], None]  # the connection is closed, and whether that cut an answer
    refused: Callable[[Connection, int], str]  # an answer of our own, with this status code, is to be sent: its fields
    on_open: Callable[[Connection, Opening], None]  # the opening is done: what it found out
    is_draining: bool = False
