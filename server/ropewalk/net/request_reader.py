"""From octets to a whole request: what a connection has received and not yet used.

Knows no socket and no time: `take` is given octets and says whether a request is whole. How they were split changes
nothing in what comes out.
"""

from __future__ import annotations

from typing import IO

from ropewalk.errors import ProtocolError
from ropewalk.http.chunked import ChunkedDecoder, ChunkLimits
from ropewalk.http.head import CHUNKED, END_OF_HEAD, HeadLimits, HeadScanner, RequestHead, parse_head
from ropewalk.logs.error_log import get_logger
from ropewalk.net.body_spool import BodySpool
from ropewalk.net.connection_states import BODY, HEAD, IDLE, RUNNING

log = get_logger()


class RequestReader:
    """Gathers one request after the other.

    `state` is IDLE, HEAD, BODY or, when `head` and `body` are one whole request, RUNNING; `reset` then makes
    room for the next. `body` is None for a request without content.
    """

    __slots__ = (
        "_body_left",
        "_body_memory",
        "_chunk_limits",
        "_decoder",
        "_head_limits",
        "_is_line_skipped",
        "_previous",
        "_scanner",
        "_spool",
        "body",
        "buffer",
        "head",
        "state",
    )

    def __init__(self, head_limits: HeadLimits, chunk_limits: ChunkLimits, body_memory: int) -> None:
        self.state = IDLE
        self.head: RequestHead | None = None
        self.body: IO[bytes] | None = None
        self.buffer = bytearray()  # received, not yet used
        self._head_limits = head_limits
        self._chunk_limits = chunk_limits
        self._body_memory = body_memory
        self._previous: RequestHead | None = None  # the last request's, if the next may be read by it
        self._scanner: HeadScanner | None = None
        self._spool: BodySpool | None = None
        self._decoder: ChunkedDecoder | None = None
        self._body_left = 0
        self._is_line_skipped = False  # the empty line in front of this request

    @property
    def body_octets(self) -> int:
        """Octets of content received so far."""
        return self._spool.octets if self._spool is not None else 0

    def take(self, data: bytes) -> bool:
        """Add octets received; return True when a request is whole.

        Raises `ProtocolError` when they cannot be a request, or (503) when the content cannot be stored.
        """
        if self.state is BODY:
            self.buffer += data
            return self._take_body()
        if self.buffer:
            self.buffer += data
            return self._take_partial_head()
        if data.startswith(b"\r\n") and not self._is_line_skipped:
            self._is_line_skipped = True
            data = data[2:]  # RFC 9112 section 2.2: an empty line in front of a request line is skipped
        end = data.find(END_OF_HEAD) + 2
        if end < 2:
            self.buffer += data
            return self._take_partial_head()
        try:
            head = parse_head(data[:end].decode("latin-1"), self._head_limits, self._previous)
        except ProtocolError:
            self.buffer += data  # the start of it tells how to answer
            raise
        if len(data) > end + 2:
            self.buffer += memoryview(data)[end + 2 :]
        elif not head.content_length:
            self.head = head
            self.state = RUNNING
            return True
        return self._has_head(head)

    @property
    def is_head_method(self) -> bool:
        """Whether the request under way, though it may be refused, has the method HEAD."""
        return self.head.method == "HEAD" if self.head is not None else self.buffer.startswith(b"HEAD ")

    def take_buffered(self) -> bool:
        """Go on with what is left in the buffer behind the last request, as `take` does."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return self.take(data)

    def _take_partial_head(self) -> bool:
        buffer = self.buffer
        if self._scanner is None:
            if not self._is_line_skipped:
                if buffer == b"\r":
                    return False  # perhaps the empty line that may stand in front
                if buffer.startswith(b"\r\n"):
                    self._is_line_skipped = True
                    del buffer[:2]
            if not buffer:
                return False
            self.state = HEAD
            self._scanner = HeadScanner(self._head_limits)
        length = self._scanner.scan(buffer)
        if not length:
            return False
        self._scanner = None
        head = parse_head(bytes(buffer[: length - 2]).decode("latin-1"), self._head_limits, self._previous)
        del buffer[:length]
        return self._has_head(head)

    def _has_head(self, head: RequestHead) -> bool:
        self.head = head
        length = head.content_length
        if not length:
            self.state = RUNNING
            return True
        if 0 < self._chunk_limits.content < length:
            raise ProtocolError(413, f"content of {length} octets")
        self._spool = BodySpool(self._body_memory)
        if length == CHUNKED:
            self._decoder = ChunkedDecoder(self._chunk_limits, self._head_limits)
        else:
            self._body_left = length
        self.state = BODY
        return self._take_body()

    def _take_body(self) -> bool:
        spool = self._spool
        assert spool is not None
        try:
            if self._decoder is not None:
                is_complete = self._decoder.decode(self.buffer, spool.write)
            else:
                is_complete = self._take_length(spool)
            if is_complete:
                self.body = spool.reader()
                self.state = RUNNING
        except OSError as error:
            log.error("a request's content could not be stored: %s", error)
            raise ProtocolError(503, "no room for the content") from error
        return is_complete

    def _take_length(self, spool: BodySpool) -> bool:
        count = min(len(self.buffer), self._body_left)
        with memoryview(self.buffer) as view:
            spool.write(view[:count])
        del self.buffer[:count]
        self._body_left -= count
        return not self._body_left

    def reset(self) -> None:
        """Let go of the request; what was received behind it stays in `buffer`."""
        self.state = IDLE
        head = self.head
        if head is not None:
            self._previous = head if head.field_text is not None else None
            self.head = None
        self._decoder = None
        self._is_line_skipped = False
        if self._spool is not None:
            self._spool.close()  # the body with it
            self._spool = self.body = None
