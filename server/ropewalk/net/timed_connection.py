"""A connection that knows how long its request took to come in, and how long it has waited since.

A class of its own, made in place of the plain one where somebody asks: a server of which nobody asks reads no clock
and counts no octets for it.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from ropewalk.net.connection import Connection
from ropewalk.net.connection_config import ConnectionConfig
from ropewalk.net.connection_states import BODY, RUNNING, State

if TYPE_CHECKING:
    from ropewalk.net.handshake import Handshake


class TimedConnection(Connection):
    """Written by its holder alone, as all of a connection."""

    __slots__ = (
        "_before",
        "_content_since",
        "_whole_octets",
        "content_seconds",
        "part_since",
        "receiving_seconds",
        "whole_since",
    )

    def __init__(
        self, sock: socket.socket, peer: Any, config: ConnectionConfig, context: Any, handshake: Handshake | None = None
    ) -> None:
        super().__init__(sock, peer, config, context, handshake)
        self.part_since: float | None = None  # monotonic: first octet of a request that is not whole yet
        self.whole_since = 0.0  # monotonic: when the last octet of the request under way was here
        self.receiving_seconds = 0.0  # from its first octet to that; 0 when it came in one piece
        self.content_seconds = 0.0  # from its head to that: a client's upload, which is no waiting
        self._content_since: float | None = None
        self._before = 0  # octets received up to the end of the last whole request
        self._whole_octets = 0  # of that one

    @property
    def request_octets(self) -> int:
        """Octets of the request under way, as they came over the wire: head, content and its framing."""
        if self.request_reader.state is RUNNING:
            return self._whole_octets
        return self.received_octets - self._before

    def _begin_part(self, state: State, now: float) -> None:
        if self.part_since is None:
            self.part_since = now
        if state is BODY:
            self._content_since = now
        super()._begin_part(state, now)

    def _is_whole(self) -> None:
        super()._is_whole()
        now = self.whole_since = monotonic()
        end = self.received_octets - len(self.request_reader.buffer)  # what is there belongs to the next one
        self._whole_octets = end - self._before
        self._before = end
        if self.part_since is None:
            self.receiving_seconds = self.content_seconds = 0.0
            return
        self.receiving_seconds = now - self.part_since
        self.content_seconds = 0.0 if self._content_since is None else now - self._content_since
        self.part_since = self._content_since = None
