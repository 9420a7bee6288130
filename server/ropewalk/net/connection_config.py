"""What all connections of a server share: their configuration, and the functions by which they reach the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, Generic, TypeVar

from ropewalk.errors import ProtocolError
from ropewalk.net.request_reader import RequestLimits
from ropewalk.net.response_budget import ResponseBudget

ConnectionT = TypeVar("ConnectionT")


class ConnectionConfig:
    """Limits in octets and timeouts in seconds, read by every connection at every request.

    `allow_keep_alive` is the one value that changes, once: the service sets it to False when it drains, and from then
    on every response closes its connection. `is_forked_child` becomes True in a process that the application forked.
    """

    __slots__ = (
        "allow_keep_alive",
        "body_timeout",
        "head_timeout",
        "idle_timeout",
        "is_forked_child",
        "request_limits",
        "response_budget",
        "send_timeout",
    )

    def __init__(
        self,
        *,
        request_limits: RequestLimits,
        response_budget: ResponseBudget,  # for what all peers have not taken of their responses
        head_timeout: float,  # for the handshake, for a connection's first octet, and for a head from its first octet
        idle_timeout: float,  # for the next request of a connection; 0: every response closes its connection
        body_timeout: float,  # between two octets of content
        send_timeout: float,  # between two octets that the peer takes
    ) -> None:
        self.request_limits = request_limits
        self.response_budget = response_budget
        self.head_timeout = head_timeout
        self.idle_timeout = idle_timeout
        self.body_timeout = body_timeout
        self.send_timeout = send_timeout
        self.allow_keep_alive = idle_timeout > 0
        self.is_forked_child = False


class ConnectionEvents(Generic[ConnectionT]):
    """The functions that a connection calls: of the epoll, of the pool, and of the service.

    A class with slots, not a NamedTuple or a Protocol with methods: a slot is read fastest, and the epoll's own methods
    are called without a function of ours in between.
    """

    __slots__ = ("arm", "call_soon", "on_closed", "on_disconnected", "on_refused", "queue", "ready", "register")

    def __init__(
        self,
        *,
        register: Callable[[int, int], None],  # epoll.register: file descriptor, events
        arm: Callable[[int, int], None],  # epoll.modify, for a descriptor that is registered
        queue: Callable[[ConnectionT], None],  # append a connection that may have a next request to `ready`
        ready: Sized,  # the queue of connections to receive from
        call_soon: Callable[[Callable[[], None]], None],  # have another thread call it within a few milliseconds
        on_closed: Callable[[ConnectionT, bool], None],  # the connection is closed; True if a response was cut
        on_refused: Callable[[ConnectionT, ProtocolError], tuple[str, str]],  # an error response: field lines, id
        on_disconnected: Callable[[Any, str], None],  # a peer, as `accept` has it, and why its handshake was refused
    ) -> None:
        self.register = register
        self.arm = arm
        self.queue = queue
        self.ready = ready
        self.call_soon = call_soon
        self.on_closed = on_closed
        self.on_refused = on_refused
        self.on_disconnected = on_disconnected
