"""A connection that knows how long its request took to come in, and how long it has waited since.

A class of its own, made in place of the plain one where somebody asks: a server of which nobody asks reads no clock
and counts no octets for it.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from ropewalk.net.connection import Connection
from ropewalk.net.receiver import Receiver
from ropewalk.net.states import State
from ropewalk.net.terms import Terms

if TYPE_CHECKING:
    from ropewalk.net.opening import Opening


class TimedConnection(Connection):
    """Written by its holder alone, as all of a connection."""

    __slots__ = ("_content_since", "content_seconds", "part_since", "receiving_seconds", "times", "whole_since")

    def __init__(
        self, sock: socket.socket, peer: Any, terms: Terms, context: Any, opening: Opening | None = None
    ) -> None:
        super().__init__(sock, peer, terms, context, opening)
        self._receiver: CountingReceiver = CountingReceiver(terms.head_limits, terms.chunk_limits, terms.body_memory)
        self.part_since: float | None = None  # monotonic: first octet of a request that is not whole yet
        self.whole_since = 0.0  # monotonic: when the last octet of the request under way was here
        self.receiving_seconds = 0.0  # from its first octet to that; 0 when it came in one piece
        self.content_seconds = 0.0  # from its head to that: a client's upload, which is no waiting
        self.times: Any = None  # where the layers above keep what became of the time from then on
        self._content_since: float | None = None

    @property
    def received_octets(self) -> int:
        """Octets of the request under way, as they came over the wire: head, content and its framing."""
        return self._receiver.received_octets

    def _begin_part(self, state: State, now: float) -> None:
        if self.part_since is None:
            self.part_since = now
        if state is State.BODY:
            self._content_since = now
        super()._begin_part(state, now)

    def _is_whole(self) -> None:
        super()._is_whole()
        now = self.whole_since = monotonic()
        self.receiving_seconds = 0.0 if self.part_since is None else now - self.part_since
        self.content_seconds = 0.0 if self._content_since is None else now - self._content_since
        self.part_since = self._content_since = None


class CountingReceiver(Receiver):
    """Counts what it is given."""

    __slots__ = ("_octets",)

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self._octets = 0

    @property
    def received_octets(self) -> int:
        """Octets of the request under way; what stands behind them in the buffer is the next one's."""
        return self._octets - len(self.buffer) if self.state is State.RUNNING else self._octets

    def take(self, data: bytes) -> bool:
        self._octets += len(data)
        return super().take(data)

    def reset(self) -> None:
        super().reset()
        self._octets = 0  # what is left in the buffer is taken, and counted, again
