"""The states of a connection, and the moves between them as data (RFC 9112 section 9)."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """What a connection is doing."""

    __hash__ = object.__hash__  # members are singletons; Enum's own is a function in Python, on the hot path

    HANDSHAKE = "handshake"  # the PROXY protocol's header, the TLS handshake
    IDLE = "idle"  # no octet of a next request yet
    HEAD = "head"  # part of a head
    BODY = "body"  # a head and part of its content
    RUNNING = "running"  # a whole request, waiting for or inside the application
    STREAMING = "streaming"  # the application produces the response, the socket takes it
    STALLED = "stalled"  # the application produces the response, the socket is full (armed)
    SENDING = "sending"  # the response is complete and partly sent
    LINGERING = "lingering"  # the last response is sent; what still arrives is discarded
    CLOSED = "closed"


HANDSHAKE: Final = State.HANDSHAKE
IDLE: Final = State.IDLE
HEAD: Final = State.HEAD
BODY: Final = State.BODY
RUNNING: Final = State.RUNNING
STREAMING: Final = State.STREAMING
STALLED: Final = State.STALLED
SENDING: Final = State.SENDING
LINGERING: Final = State.LINGERING
CLOSED: Final = State.CLOSED
"""By their bare names: in CPython 3.11 a look-up of an Enum's member costs 0.1 us, and a request has ten of them."""


MOVES: Final[dict[State, frozenset[State]]] = {
    HANDSHAKE: frozenset({IDLE, SENDING, CLOSED}),
    IDLE: frozenset({HEAD, BODY, RUNNING, SENDING, CLOSED}),
    HEAD: frozenset({BODY, RUNNING, SENDING, CLOSED}),
    BODY: frozenset({RUNNING, SENDING, CLOSED}),
    RUNNING: frozenset({STREAMING, SENDING, IDLE, LINGERING, CLOSED}),
    STREAMING: frozenset({STALLED, SENDING, CLOSED}),
    STALLED: frozenset({STREAMING, SENDING, CLOSED}),
    SENDING: frozenset({IDLE, LINGERING, CLOSED}),
    LINGERING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}

RECEIVING: Final = frozenset({IDLE, HEAD, BODY})
"""The states in which input is read as requests."""

AWAITING_ROOM: Final = frozenset({STALLED, SENDING})
"""The states in which a response waits until the socket takes more of it."""
