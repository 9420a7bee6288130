"""Responses that stream, and occupy a thread meanwhile: server-sent events, exports, progress of a job.

The controller's thread of the pool asks which they are, while the threads of the application continue.
"""

from __future__ import annotations

from time import monotonic

from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection import Connection
from ropewalk.threads.pool import Item
from ropewalk.wsgi.exchange import Exchange

log = get_logger()

STREAM_SECONDS = 1.0
"""A response that has streamed for so long goes on for longer; most downloads are through by then."""

WAITING_SECONDS = 0.02
"""While requests wait for a thread, a response that produced nothing for so long: it waits for an event."""


class Streams:
    """The streams of one service."""

    def __init__(self, threads: int, stream_threads: int) -> None:
        self._threads = threads
        self._stream_threads = stream_threads
        self._is_reported = False

    def is_streaming(self, item: Item, is_thread_needed: bool) -> bool:
        """Whether the response of a running item streams, and will for longer."""
        began = streaming_since(item)
        if not began:
            return False
        now = monotonic()
        if now - began >= STREAM_SECONDS:
            return True
        return is_thread_needed and now - max(began, _progress(item)) >= WAITING_SECONDS

    def on_all_streaming(self) -> None:
        """All threads are occupied by streams: log it, once."""
        if self._is_reported:
            return
        self._is_reported = True
        beside = f" and all {self._stream_threads} threads for streams" if self._stream_threads else ""
        log.warning(
            "All %d threads%s are occupied by responses that stream. Other requests wait until one of them ends. "
            "--stream-threads lets more of them stream. This is logged once.",
            self._threads,
            beside,
        )


def streaming_since(item: Item) -> float:
    """When the response of a running item began to stream (monotonic); 0.0 if it does not."""
    exchange = _exchange(item)
    return 0.0 if exchange is None else exchange.streaming_since


def _progress(item: Item) -> float:
    exchange = _exchange(item)
    return 0.0 if exchange is None else exchange.progress


def _exchange(item: Item) -> Exchange | None:
    """What the item runs; also after the connection was closed, while the application goes on to stream."""
    if not isinstance(item, Connection):
        return None
    exchange: Exchange | None = item.exchange
    return exchange if exchange is not None else next(iter(item.producing), None)
