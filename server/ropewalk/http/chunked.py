"""The chunked transfer coding (RFC 9112 section 7): decoding as octets arrive, encoding a chunk.

The decoder consumes what it can of a buffer that belongs to the connection and keeps only numbers of its own, so that
memory is bounded by the longest line it waits for, whatever the peer sends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from ropewalk.errors import ProtocolError
from ropewalk.http import grammar
from ropewalk.http.head import HeadLimits

LAST_CHUNK: Final = b"0\r\n\r\n"


class ChunkLimits(NamedTuple):
    """Octets above which chunked content is refused."""

    content: int  # 0 = no limit
    line: int = 4096  # a chunk line with its extensions; nobody sends any, and nginx skips at most one buffer of them
    extensions: int = 16 * 1024  # all extensions of a message together: they are parsed and dropped, so they only cost


class ChunkState(Enum):
    """What the decoder waits for next."""

    LINE = auto()  # chunk-size [ chunk-ext ] CRLF
    DATA = auto()  # chunk-data
    DATA_END = auto()  # the CRLF after it
    TRAILER = auto()  # a trailer field line, or the empty line
    COMPLETE = auto()


class ChunkedDecoder:
    """Decodes one chunked body.

    However the octets are split between calls of `decode`, the content, the end and any refusal are the same. Trailer
    fields are checked against the grammar and the limits of a head, then dropped (RFC 9110 section 6.5.1 allows it),
    because WSGI has no place for them.
    """

    __slots__ = (
        "_chunk_left",
        "_content",
        "_extensions",
        "_fields",
        "_head_limits",
        "_limits",
        "_trailer_octets",
        "state",
    )

    def __init__(self, limits: ChunkLimits, head_limits: HeadLimits) -> None:
        self.state = ChunkState.LINE
        self._limits = limits
        self._head_limits = head_limits
        self._chunk_left = 0
        self._content = 0
        self._extensions = 0
        self._fields = 0
        self._trailer_octets = 0

    def decode(self, buffer: bytearray, write: Callable[[memoryview], object]) -> bool:
        """Consume what `buffer` holds of the body, pass content to `write`; return True when the body is complete.

        Octets after the body stay in `buffer`. Raises `ProtocolError` 400 (grammar), 413 (content), 431 (trailers), or
        what `write` raises; then `buffer` is left as it is, since a failed `write` may still hold a view of it.
        """
        position = 0
        with memoryview(buffer) as view:
            while self.state is not ChunkState.COMPLETE:
                step = _STEPS[self.state](self, buffer, view, position, write)
                if step < 0:
                    break
                position = step
        del buffer[:position]
        return self.state is ChunkState.COMPLETE

    # Each step returns the position after what it consumed, or -1 when it needs more octets. A step that consumes only
    # part of what it needs leaves the state as it is.

    def _line(self, buffer: bytearray, view: memoryview, position: int, write: Callable[..., object]) -> int:
        match = grammar.CHUNK_LINE.match(buffer, position)
        if match is None:
            return self._no_line(buffer, position)
        if match.end() - position > self._limits.line:
            raise ProtocolError(400, f"chunk line over {self._limits.line} octets")
        self._extensions += match.end(2) - match.start(2)
        if self._extensions > self._limits.extensions:
            raise ProtocolError(400, f"chunk extensions over {self._limits.extensions} octets")
        size = int(match[1], 16)
        self._content += size
        if 0 < self._limits.content < self._content:
            raise ProtocolError(413, f"content over {self._limits.content} octets")
        self._chunk_left = size
        self.state = ChunkState.DATA if size else ChunkState.TRAILER
        return match.end()

    def _no_line(self, buffer: bytearray, position: int) -> int:
        limit = position + self._limits.line
        line_feed = buffer.find(b"\n", position, limit)
        if line_feed >= 0:
            raise ProtocolError(400, f"bad chunk line {bytes(buffer[position : line_feed + 1][:80])!r}")
        if len(buffer) >= limit:
            raise ProtocolError(400, f"chunk line over {self._limits.line} octets")
        if len(buffer) > position and not grammar.CHUNK_LINE_START.fullmatch(buffer, position):
            raise ProtocolError(400, f"bad chunk line {bytes(buffer[position : position + 80])!r}")
        return -1

    def _data(self, buffer: bytearray, view: memoryview, position: int, write: Callable[..., object]) -> int:
        end = min(position + self._chunk_left, len(buffer))
        if end == position:
            return -1
        write(view[position:end])
        self._chunk_left -= end - position
        if not self._chunk_left:
            self.state = ChunkState.DATA_END
        return end

    def _data_end(self, buffer: bytearray, view: memoryview, position: int, write: Callable[..., object]) -> int:
        end = bytes(view[position : position + 2])
        if end == b"\r\n":
            self.state = ChunkState.LINE
            return position + 2
        if end and end != b"\r":
            raise ProtocolError(400, "chunk data longer than its size")
        return -1

    def _trailer(self, buffer: bytearray, view: memoryview, position: int, write: Callable[..., object]) -> int:
        limits = self._head_limits
        line_feed = buffer.find(b"\n", position, position + limits.field_line + 2)
        if line_feed < 0:
            if len(buffer) >= position + limits.field_line + 2:
                raise ProtocolError(431, f"trailer field over {limits.field_line} octets")
            return -1
        line = bytes(view[position : line_feed + 1]).decode("latin-1")
        if line == "\r\n":
            self.state = ChunkState.COMPLETE
            return line_feed + 1
        self._fields += 1
        self._trailer_octets += len(line)
        if self._fields > limits.fields or self._trailer_octets > limits.head:
            raise ProtocolError(431, "too many trailer fields")
        if not grammar.FIELD_LINE.fullmatch(line):
            raise ProtocolError(400, f"bad trailer field {line[:80]!r}")
        return line_feed + 1


_STEPS = {
    ChunkState.LINE: ChunkedDecoder._line,
    ChunkState.DATA: ChunkedDecoder._data,
    ChunkState.DATA_END: ChunkedDecoder._data_end,
    ChunkState.TRAILER: ChunkedDecoder._trailer,
}


def encode_chunk(content: bytes) -> bytes:
    """Return `content`, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(content), content)
