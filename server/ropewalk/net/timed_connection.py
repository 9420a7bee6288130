"""A connection that measures how long its request took to arrive, and since when it has waited.

A subclass, used in place of `Connection` where a setting needs the times: any other server reads no clock and counts no
octets for them.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from ropewalk.net.connection import Connection, ContextT, ExchangeT
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.connection_states import BODY, RUNNING, State

if TYPE_CHECKING:
    from ropewalk.net.handshake import Handshake


class TimedConnection(Connection[ContextT, ExchangeT]):
    """Written by its holder alone, like every connection."""

    __slots__ = (
        "_content_since",
        "_octets_before",
        "_request_octets",
        "content_seconds",
        "part_since",
        "receiving_seconds",
        "whole_since",
    )

    def __init__(
        self,
        sock: socket.socket,
        peer: Any,
        config: ConnectionConfig,
        events: ConnectionEvents[Connection[Any, Any]],
        context: ContextT | None,
        handshake: Handshake[ContextT] | None = None,
    ) -> None:
        super().__init__(sock, peer, config, events, context, handshake)
        self.part_since: float | None = None  # monotonic: the first octet of a request that is not whole yet
        self.whole_since = 0.0  # monotonic: the last octet of the request under way
        self.receiving_seconds = 0.0  # from its first octet to its last; 0 when it arrived in one piece
        self.content_seconds = 0.0  # from its head to its last octet: a client's upload, not time spent waiting
        self._content_since: float | None = None
        self._octets_before = 0  # received up to the end of the last whole request
        self._request_octets = 0  # of that one

    @property
    def request_octets(self) -> int:
        """Octets of the request under way as they came over the wire: head, content and its framing."""
        if self.request_reader.state is RUNNING:
            return self._request_octets
        return self.received_octets - self._octets_before

    def _begin_part(self, state: State, now: float) -> None:
        if self.part_since is None:
            self.part_since = now
        if state is BODY:
            self._content_since = now
        super()._begin_part(state, now)

    def _begin_running(self) -> None:
        super()._begin_running()
        now = self.whole_since = monotonic()
        end = self.received_octets - len(self.request_reader.buffer)  # the buffer holds octets of the next request
        self._request_octets = end - self._octets_before
        self._octets_before = end
        if self.part_since is None:
            self.receiving_seconds = self.content_seconds = 0.0
            return
        self.receiving_seconds = now - self.part_since
        self.content_seconds = 0.0 if self._content_since is None else now - self._content_since
        self.part_since = self._content_since = None
