"""The states of a connection, and the moves between them as data (RFC 9112 section 9)."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a connection stands."""

    __hash__ = object.__hash__  # members are singletons; Enum's own is a function in Python, on the hot path

    OPENING = "opening"  # the PROXY protocol's header, the TLS handshake
    IDLE = "idle"  # no octet of a next request yet
    HEAD = "head"  # part of a head
    BODY = "body"  # a head and part of its content
    RUNNING = "running"  # a whole request, waiting for or inside the application
    STREAMING = "streaming"  # the application makes the answer, the socket takes it
    STALLED = "stalled"  # the application makes the answer, the socket is full (armed)
    SENDING = "sending"  # the answer is whole and partly sent
    LINGERING = "lingering"  # the last answer is sent; what still comes is thrown away
    CLOSED = "closed"


MOVES: dict[State, frozenset[State]] = {
    State.OPENING: frozenset({State.IDLE, State.SENDING, State.CLOSED}),
    State.IDLE: frozenset({State.HEAD, State.BODY, State.RUNNING, State.SENDING, State.CLOSED}),
    State.HEAD: frozenset({State.BODY, State.RUNNING, State.SENDING, State.CLOSED}),
    State.BODY: frozenset({State.RUNNING, State.SENDING, State.CLOSED}),
    State.RUNNING: frozenset({State.STREAMING, State.SENDING, State.IDLE, State.LINGERING, State.CLOSED}),
    State.STREAMING: frozenset({State.STALLED, State.SENDING, State.CLOSED}),
    State.STALLED: frozenset({State.STREAMING, State.SENDING, State.CLOSED}),
    State.SENDING: frozenset({State.IDLE, State.LINGERING, State.CLOSED}),
    State.LINGERING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

RECEIVING = frozenset({State.IDLE, State.HEAD, State.BODY})
"""The states in which input is read as requests."""
