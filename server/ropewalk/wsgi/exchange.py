"""One run of the application (PEP 3333): its answer is set on the connection whole, or streamed as it is made.

Runs in the pool's thread that took the request, from the call of the application to its iterable's `close`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from threading import get_ident
from time import monotonic
from types import GeneratorType, TracebackType
from typing import Any

from ropewalk.errors import ApplicationError, ProtocolError
from ropewalk.http.chunked import LAST_CHUNK, encode_chunk
from ropewalk.http.head import HTTP_11, RequestHead
from ropewalk.http.response import BY_CHUNKS, BY_CLOSE, BY_LENGTH, UNFRAMED, error_response, response_framing
from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection import Connection
from ropewalk.net.streamed_response import PeerGoneError, StreamedResponse
from ropewalk.wsgi.async_exc import raise_in_thread
from ropewalk.wsgi.environ import ConnectionEnviron, Environ
from ropewalk.wsgi.file_wrapper import FileWrapper, plain_range
from ropewalk.wsgi.request_id import KEY, valid_request_id
from ropewalk.wsgi.response_head import DefaultFields, ResponseHead, check_answer_head, early_hints

log = get_logger()

# A file up to this size is read and sent together with its head: cheaper than duplicating its descriptor.
MAX_READ_FILE = 64 * 1024

WsgiConnection = Connection[ConnectionEnviron, "Exchange"]

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class RequestTimeoutError(Exception):
    """Raised in the application's thread when its request ran past the timeout; the peer has its 504 already."""


class _PreemptedError(Exception):
    """The peer was answered by somebody else meanwhile: nothing of this answer may go out."""


class Exchange:
    """The answer to one request while the application makes it.

    Used by one thread, but for `overtake`. Who answers is decided by `_claim`, a list of one member: taking it out is
    atomic, and only who has it may touch the connection.
    """

    __slots__ = (
        "_claim",
        "_connection",
        "_default_fields",
        "_framing",
        "_interrupted",
        "_is_claimed",
        "_left",
        "_request",
        "_stream",
        "began",
        "content_from",
        "ended",
        "environ",
        "head",
        "progress",
        "queue_seconds",
        "request_id",
        "thread",
    )

    def __init__(
        self, connection: WsgiConnection, request: RequestHead, environ: Environ, default_fields: DefaultFields
    ) -> None:
        self.environ = environ
        self.head: ResponseHead | None = None  # set by start_response
        self.content_from = connection.sent_octets  # at that count of them the answer's content begins, or will
        self.thread = get_ident()
        self.began = self.ended = 0.0  # monotonic: when the application was called, and had returned; set by the caller
        self.progress = 0.0  # monotonic: when content was streamed last
        self.request_id = ""  # where the server assigns ids; set by the caller, as the next
        self.queue_seconds: float | None = None  # between the proxy in front and the application, where it is known
        self._claim = [None]
        self._is_claimed = False  # by this thread
        self._interrupted: threading.Event | None = None  # set by who overtakes, when it raises nothing any more
        self._connection = connection
        self._request = request
        self._default_fields = default_fields
        self._framing = UNFRAMED
        self._left: int | None = None  # octets of content that the Content-Length still promises; None without one
        self._stream: StreamedResponse | None = None

    def run(self, application: Any) -> bool:
        """Run the application. Return True when the connection holds an answer that `send` is to send.

        Whatever the application raises ends here: in a 500, or in a visible cut when part of the answer is out.
        """
        environ = self.environ
        environ["wsgi.early_hints"] = self.send_early_hints
        iterable: Any = None
        try:
            try:
                parts = application(environ, self.start_response)
                kind = type(parts)
                if kind is list or kind is tuple:  # which have no close()
                    return self._answer_parts(parts)
                iterable = parts
                if kind is FileWrapper and self._stream is None and self._answer_file(iterable):
                    return True
                return self._answer_iterable(iterable)
            except BaseException as error:  # noqa: BLE001 - SystemExit in an application must not end a thread of ours
                return self._failed(error)
            finally:
                if iterable is not None:
                    self._close(iterable)
        except (_PreemptedError, RequestTimeoutError):
            self._absorb_interruption()
            return False
        finally:
            environ.pop("wsgi.early_hints", None)  # a cycle, which would keep all of it until a collection

    @property
    def logged_request_id(self) -> str:
        """The id for the logs, which have the proxy's where the server assigns none."""
        return self.request_id or valid_request_id(self._request.fields.get(KEY))

    def overtake(self, status_code: int, detail: str) -> bool:
        """Answer in the application's place, and raise `RequestTimeoutError` in its thread. From any other thread.

        Returns False, and does nothing, when the application has begun to answer.
        """
        self._interrupted = threading.Event()
        try:
            self._claim.pop()
        except IndexError:
            return False
        try:
            self._connection.on_sent = None
            self._connection.refuse(ProtocolError(status_code, detail))
            raise_in_thread(self.thread, RequestTimeoutError)
        finally:
            self._interrupted.set()
        return True

    def _take_claim(self) -> None:
        if not self._is_claimed:
            try:
                self._claim.pop()
            except IndexError:
                raise _PreemptedError from None
            self._is_claimed = True

    def _absorb_interruption(self) -> None:
        """Wait for the exception that is on its way, so that it cannot arrive outside the exchange."""
        try:
            if self._interrupted is not None:
                self._interrupted.wait()
            for _ in range(100):  # the interpreter raises it at a jump backwards, if it was not raised already
                pass
        except RequestTimeoutError:
            pass

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Any:
        """PEP 3333's `start_response`; returns `write`."""
        if exc_info:
            try:
                if self._stream is not None and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.head is not None:
            raise ApplicationError("start_response was called twice without exc_info")
        self.head = check_answer_head(status, headers)
        return self.write

    def send_early_hints(self, headers: list[tuple[str, str]]) -> None:
        """`wsgi.early_hints`, as gunicorn has it: tell the peer now what the answer will link to (RFC 8297).

        Does nothing once the answer has begun, and for a peer of HTTP/1.0, which knows no interim answers.
        """
        octets = early_hints(headers)
        if self._stream is None and self._request.version >= HTTP_11:
            is_given_back = not self._is_claimed
            self._take_claim()
            self._connection.send_interim(octets)
            if is_given_back:
                self._is_claimed = False
                self._claim.append(None)

    def write(self, content: bytes) -> None:
        """PEP 3333's `write`: send `content` now, in front of what the iterable gives."""
        if type(content) is not bytes:
            raise ApplicationError(f"content must be bytes, not {type(content).__name__}")
        stream = self._stream
        if stream is None:
            head = self._begin(None)
            stream = self._stream = self._connection.stream_response()
            stream.write(head + self._encode(content))
        elif content:
            self.progress = monotonic()
            stream.write(self._encode(content))

    def _encode(self, content: bytes) -> bytes:
        """Put `content` into the answer's framing; never more of it than was promised."""
        if self._framing is BY_CHUNKS:
            return encode_chunk(content) if content else b""
        if self._framing is UNFRAMED:
            return b""
        if self._left is not None:
            if len(content) > self._left:
                self._complain(f"content {len(content) - self._left} octets over its Content-Length was left out")
                content = content[: self._left]
            self._left -= len(content)
        return content

    def _begin(self, length: int | None) -> bytes:
        """Choose the framing and return the encoded head; `length` is the content's, where it is all there."""
        head = self.head
        if head is None:
            raise ApplicationError("no start_response before the first content")
        self._take_claim()
        connection, request = self._connection, self._request
        if head.has_date or head.has_server:
            fields = self._default_fields.without(date=head.has_date, server=head.has_server)
        else:
            fields = self._default_fields()
        promised = length if head.content_length is None else head.content_length
        framing = self._framing = response_framing(self._is_content_allowed(head), request.version, promised)
        if framing is BY_LENGTH:
            self._left = promised
            if length is not None and head.content_length is None:
                fields += b"Content-Length: %d\r\n" % length
        elif framing is BY_CHUNKS:
            fields += b"Transfer-Encoding: chunked\r\n"
        elif framing is BY_CLOSE:
            connection.keeps_alive = False
        if not connection.keeps_alive or not connection.config.allow_keep_alive:
            connection.keeps_alive = False
            fields += b"Connection: close\r\n"
        elif request.version < HTTP_11:
            fields += b"Connection: keep-alive\r\n"
        encoded = head.encoded + fields + b"\r\n"
        self.content_from += len(encoded)
        return encoded

    def _is_content_allowed(self, head: ResponseHead) -> bool:
        return head.allows_content and self._request.method != "HEAD"

    def _answer_parts(self, parts: list[bytes] | tuple[bytes, ...]) -> bool:
        """All content is there: the answer goes out in one piece."""
        for part in parts:
            if type(part) is not bytes:
                raise ApplicationError(f"content must be bytes, not {type(part).__name__}")
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        if self._stream is not None:
            self.write(content)
            return self._end()
        return self._answer_whole(content)

    def _answer_whole(self, content: bytes) -> bool:
        head, request, connection = self.head, self._request, self._connection
        if (
            head is not None
            and head.plain_length == len(content)
            and request.version >= HTTP_11
            and request.method != "HEAD"
        ):  # nearly every answer: `_begin` would find nothing else to decide
            self._take_claim()
            keeps_alive = connection.keeps_alive = connection.keeps_alive and connection.config.allow_keep_alive
            encoded = head.encoded + self._default_fields.last(keeps_alive)
            self.content_from += len(encoded)
        else:
            encoded = self._begin(len(content))
            content = self._encode(content)
            if self._left:
                raise ApplicationError(f"content {self._left} octets shorter than its Content-Length")
        connection.set_response(encoded, content)
        return True

    def _answer_iterable(self, iterable: Iterable[bytes]) -> bool:
        """PEP 3333, "Buffering and Streaming": what the iterable gives is sent before it is asked for more.

        A generator is run to its end, since what stands behind its last yield is wanted too; any other iterable is
        asked for no more than its Content-Length.
        """
        is_generator = type(iterable) is GeneratorType
        for content in iterable:
            if type(content) is not bytes:
                raise ApplicationError(f"content must be bytes, not {type(content).__name__}")
            if not content:
                continue
            if self._stream is None and not is_generator:
                head = self.head
                if head is not None and (head.plain_length == len(content) or self._is_last(head, content)):
                    return self._answer_whole(content)
            is_past_end = self._left == 0
            self.write(content)
            if is_past_end or self._framing is UNFRAMED:
                break
        if self._stream is None:
            return self._answer_whole(b"")
        return self._end()

    def _is_last(self, head: ResponseHead, content: bytes) -> bool:
        """Tell whether nothing behind `content` would be sent: no need to stream, nor to ask for more."""
        if not self._is_content_allowed(head):
            return True
        return head.content_length is not None and len(content) >= head.content_length

    def _answer_file(self, wrapper: FileWrapper) -> bool:
        """Answer with a plain file's range; return False when the wrapper has to be iterated over."""
        found = plain_range(wrapper.filelike)
        if found is None or self.head is None:
            return False
        count = found.octets
        if self.head.content_length is not None:
            count = min(count, self.head.content_length)
        if count <= MAX_READ_FILE:
            return self._answer_whole(os.pread(found.fd, count, found.offset))
        head = self._begin(count)
        if self._framing is UNFRAMED:
            self._connection.set_response(head)
            return True
        if self._left != count:
            raise ApplicationError("a file shorter than its Content-Length")
        # A descriptor of our own, so that the application's `close` runs now, here, in its own thread.
        self._connection.set_file_response(head, os.dup(found.fd), found.offset, count)
        return True

    def _end(self) -> bool:
        """The iterable is exhausted, or as much of it as was promised is out."""
        stream = self._stream
        assert stream is not None
        if self._left:
            raise ApplicationError(f"content {self._left} octets shorter than its Content-Length")
        if self._framing is BY_CHUNKS:
            stream.write(LAST_CHUNK)
        return stream.end()

    def _failed(self, error: BaseException) -> bool:
        if isinstance(error, (_PreemptedError, RequestTimeoutError)):
            raise error
        if isinstance(error, PeerGoneError):
            log.debug("%s: the peer left before the answer was whole", self._where())
            return False
        if isinstance(error, ApplicationError):
            self._complain(str(error))
        else:
            self._complain(f"the application raised {type(error).__name__}", error)
        if self._stream is not None:
            self._stream.abort()
            return False
        self._take_claim()
        connection = self._connection
        connection.keeps_alive = False
        connection.set_response(
            error_response(500, self._request.method, extra=self._default_fields.of_own_answer(self.request_id))
        )
        self.head = ResponseHead("500 Internal Server Error", 500, [], b"", None, False, False, True, None)
        return True

    def _close(self, iterable: Any) -> None:
        try:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # noqa: BLE001 - the answer is decided; only the log can tell
            self._complain(f"the iterable's close() raised {type(error).__name__}", error)

    def _complain(self, what: str, error: BaseException | None = None) -> None:
        log.error("%s: %s", self._where(), what, exc_info=error or False, request_id=self.logged_request_id)

    def _where(self) -> str:
        return f"{self._request.method} {self._request.request_target[:200]!r}"
