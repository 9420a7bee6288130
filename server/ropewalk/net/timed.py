"""A connection that knows how long its request has waited: made in place of a plain one where that is to be bounded.

A class of its own, so that a server that asks for no such bound reads no clock for it.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

from ropewalk.net.connection import Connection
from ropewalk.net.opening import Opening
from ropewalk.net.states import State
from ropewalk.net.terms import Terms


class TimedConnection(Connection):
    """Written by its holder alone, as all of a connection."""

    __slots__ = ("_content_since", "content_seconds", "whole_since")

    def __init__(
        self, sock: socket.socket, peer: Any, terms: Terms, context: Any, opening: Opening | None = None
    ) -> None:
        super().__init__(sock, peer, terms, context, opening)
        self.whole_since = 0.0  # monotonic: when the last octet of the request under way was here
        self.content_seconds = 0.0  # from its head to that: a client's upload, which is no waiting
        self._content_since: float | None = None

    def _begin_part(self, state: State, now: float) -> None:
        if state is State.BODY:
            self._content_since = now
        super()._begin_part(state, now)

    def _is_whole(self) -> None:
        super()._is_whole()
        now = self.whole_since = monotonic()
        self.content_seconds = 0.0 if self._content_since is None else now - self._content_since
        self._content_since = None
