"""From octets to whole requests: what a connection has received and not used yet.

Knows no socket and no time: `feed` takes octets and says whether a request is whole. How the octets were split changes
nothing in the result.
"""

from __future__ import annotations

from typing import IO, Final

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.chunked import ChunkedDecoder, ChunkLimits
from ropewalk.http.head import CHUNKED, END_OF_HEAD, HeadLimits, HeadScanner, RequestHead, parse_head, quick_head
from ropewalk.logs.error_log import get_logger
from ropewalk.net.body_budget import UNCOUNTED_OCTETS, BodyBudget
from ropewalk.net.body_spool import BodySpool
from ropewalk.net.connection_states import BODY, HEAD, IDLE, RUNNING

log: Final = get_logger()


class RequestLimits:
    """What all requests of a server may have, in octets: one object, which every connection's reader refers to."""

    __slots__ = ("body_budget", "body_memory", "chunks", "head", "max_at_once")

    def __init__(
        self,
        head: HeadLimits,
        chunks: ChunkLimits,
        body_memory: int,  # of a request's content kept in memory; the rest goes to a temporary file
        body_budget: BodyBudget,  # for the content of all requests
    ) -> None:
        self.head = head
        self.chunks = chunks
        self.body_memory = body_memory
        self.body_budget = body_budget
        self.max_at_once = min(body_memory, UNCOUNTED_OCTETS, chunks.content or UNCOUNTED_OCTETS)


class RequestReader:
    """Reads one request after the other.

    `state` is IDLE, HEAD, BODY or, when `head` and `body` are one whole request, RUNNING; `reset` then makes
    room for the next. `body` is None for a request without content.
    """

    __slots__ = (
        "_decoder",
        "_is_line_skipped",
        "_limits",
        "_previous_head",
        "_remaining_octets",
        "_scanner",
        "_spool",
        "body",
        "buffer",
        "head",
        "state",
    )

    def __init__(self, limits: RequestLimits) -> None:
        self.state = IDLE
        self.head: RequestHead | None = None
        self.body: IO[bytes] | None = None
        self.buffer = bytearray()  # received, not used yet
        self._limits = limits
        self._previous_head: RequestHead | None = None  # if the next one may repeat its fields
        self._scanner: HeadScanner | None = None
        self._spool: BodySpool | None = None
        self._decoder: ChunkedDecoder | None = None
        self._remaining_octets = 0  # of the content, where Content-Length delimits it
        self._is_line_skipped = False  # the empty line before this request

    @property
    def body_octets(self) -> int:
        """Octets of content received so far."""
        return self._spool.octets if self._spool is not None else 0

    def feed(self, data: bytes) -> bool:
        """Add received octets; return True when a request is whole.

        Raises `ProtocolError` when they cannot be a request, or (503) when the content cannot be stored.
        """
        if self.state is BODY:
            return self._read_body(data)
        if self.buffer:
            self.buffer += data
            return self._read_partial_head()
        # fast path of `_read_heads`; test_how_octets_are_split_changes_nothing holds them equal
        if data.endswith(END_OF_HEAD):
            head = self._sole_head(data)
            if head is not None:
                return self._begin_body(head)
        return self._read_heads(data)

    def _sole_head(self, data: bytes) -> RequestHead | None:
        """The head, if this is a usual one and nothing else: then its end needs no search."""
        try:
            return quick_head(data[:-2].decode("latin-1"), self._limits.head, self._previous_head)
        except ProtocolError:
            self.buffer += data  # `is_head_method` looks at its start
            raise

    def _read_heads(self, data: bytes) -> bool:
        """Read the first head, and its content, of octets that may be several requests, or part of one."""
        # fast path of `_read_partial_head`; test_how_octets_are_split_changes_nothing holds them equal
        if data.startswith(b"\r\n") and not self._is_line_skipped:
            self._is_line_skipped = True
            data = data[2:]  # RFC 9112 section 2.2: an empty line before a request line is skipped
        end = data.find(END_OF_HEAD) + 2
        if end < 2:
            self.buffer += data
            return self._read_partial_head()
        try:
            head = parse_head(data[:end].decode("latin-1"), self._limits.head, self._previous_head)
        except ProtocolError:
            self.buffer += data  # as above
            raise
        end += 2
        if not head.content_length:
            if len(data) > end:
                self.buffer += memoryview(data)[end:]
            self.head = head
            self.state = RUNNING
            return True
        if len(data) - end == head.content_length <= self._limits.max_at_once:
            return self._take_content(head, data[end:])
        self.buffer += memoryview(data)[end:]
        return self._begin_body(head)

    @property
    def is_head_method(self) -> bool:
        """Whether the request under way, even one that is refused, has the method HEAD."""
        return self.head.method == "HEAD" if self.head is not None else self.buffer.startswith(b"HEAD ")

    def valid_request_line(self) -> str:
        """The request line of a head that was refused for what comes after it; "" if it is not valid, or not whole."""
        line, line_feed, _ = bytes(self.buffer).partition(b"\n")
        text = (line + line_feed).decode("latin-1")
        is_valid = self.head is None and len(text) - 2 <= self._limits.head.request_line
        return text[:-2] if is_valid and grammar.REQUEST_LINE.fullmatch(text) else ""

    def feed_buffered(self) -> bool:
        """As `feed`, with what was received after the last request."""
        data = bytes(self.buffer)
        self.buffer.clear()
        return self._read_heads(data)

    def _read_partial_head(self) -> bool:
        buffer = self.buffer
        if self._scanner is None:
            if not self._is_line_skipped:
                if buffer == b"\r":
                    return False  # perhaps the start of the empty line that may precede a request
                if buffer.startswith(b"\r\n"):
                    self._is_line_skipped = True
                    del buffer[:2]
            if not buffer:
                return False
            self.state = HEAD
            self._scanner = HeadScanner(self._limits.head)
        length = self._scanner.scan(buffer)
        if not length:
            return False
        self._scanner = None
        head = parse_head(bytes(buffer[: length - 2]).decode("latin-1"), self._limits.head, self._previous_head)
        del buffer[:length]
        return self._begin_body(head)

    def _begin_body(self, head: RequestHead) -> bool:
        self.head = head
        length = head.content_length
        if not length:
            self.state = RUNNING
            return True
        if 0 < self._limits.chunks.content < length:
            raise ProtocolError(413, f"content of {length} octets")
        self._limits.body_budget.check(length - UNCOUNTED_OCTETS)
        self._spool = BodySpool(self._limits.body_memory, self._limits.body_budget)
        if length == CHUNKED:
            self._decoder = ChunkedDecoder(self._limits.chunks, self._limits.head)
        else:
            self._remaining_octets = length
        self.state = BODY
        data = bytes(self.buffer)
        self.buffer.clear()
        return self._read_body(data)

    def _take_content(self, head: RequestHead, content: bytes) -> bool:
        """All of it came with the head: neither copied nor counted."""
        # fast path of `_begin_body`; test_how_octets_are_split_changes_nothing holds them equal
        self.head = head
        spool = self._spool = BodySpool(self._limits.body_memory, self._limits.body_budget, content)
        self.body = spool.reader()
        self.state = RUNNING
        return True

    def _read_body(self, data: bytes) -> bool:
        spool = self._spool
        assert spool is not None
        try:
            if self._decoder is not None:
                self.buffer += data
                is_complete = self._decoder.decode(self.buffer, spool.write)
            else:
                is_complete = self._read_length(spool, data)
            if is_complete:
                self.body = spool.reader()
                self.state = RUNNING
        except OSError as error:
            log.error("cannot store the content of a request: %s", error)
            raise ProtocolError(503, "no room for the content") from error
        return is_complete

    def _read_length(self, spool: BodySpool, data: bytes) -> bool:
        excess = len(data) - self._remaining_octets
        if excess > 0:  # the next request
            self.buffer += memoryview(data)[-excess:]
            data = data[:-excess]
        spool.write(data)
        self._remaining_octets -= len(data)
        return not self._remaining_octets

    def reset(self) -> None:
        """Release the request; what was received after it stays in `buffer`."""
        self.state = IDLE
        head = self.head
        if head is not None:
            self._previous_head = head if head.field_text is not None else None
            self.head = None
        self._decoder = None
        self._is_line_skipped = False
        if self._spool is not None:
            self._spool.close()  # the body with it
            self._spool = self.body = None
