"""One run of the application (PEP 3333), whose response is set on the connection whole, or streamed as it is produced.

Runs in the thread of the pool that took the request, from the call of the application to the `close` of its iterable.

What the application gives is `Any` until it is checked: a compiled function checks the types of its arguments itself,
and would raise its own error.

Longer than most modules here: start_response, write, the iterable and its errors change one state, and PEP 3333 says
what each may do after the others. Heads, streams and environs are in modules beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from threading import RLock, get_ident
from time import monotonic
from types import GeneratorType
from typing import Any, Final

from ropewalk import interruptions
from ropewalk.errors import ApplicationError, PeerGoneError, ProtocolError
from ropewalk.forked import exit_child
from ropewalk.http.head import HTTP_11, RequestHead
from ropewalk.http.response import BY_CHUNKS, BY_CLOSE, BY_LENGTH, UNFRAMED, Framing, error_response, response_framing
from ropewalk.interruptions import InterruptibleThread, OneTimeEvent, uninterrupted
from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection import Connection
from ropewalk.net.connection_states import CLOSED
from ropewalk.net.streamed_response import WRITE_TOO_LATE, StreamedResponse
from ropewalk.portable import pread, register_at_fork
from ropewalk.wsgi.application_errors import begin_in_application, no_iterable
from ropewalk.wsgi.environ import ConnectionEnviron, Environ
from ropewalk.wsgi.file_wrapper import FileWrapper, plain_range
from ropewalk.wsgi.request_id import KEY, valid_request_id
from ropewalk.wsgi.response_head import DefaultFields, ResponseHead, check_response_head, early_hints, newly_dropped

log: Final = get_logger()

# A file up to this size is read and sent with the head, which is cheaper than duplicating its descriptor.
MAX_READ_FILE = 64 * 1024

# Content up to this size is buffered whatever room there is: with its head, it is what a socket takes at once.
MAX_UNBUDGETED: Final = 64 * 1024

WsgiConnection = Connection[ConnectionEnviron, "Exchange"]


class RequestTimeoutError(Exception):
    """Raised in the thread of the application when its request exceeds a timeout.

    By then the client has a 504, or what was sent of a streamed response, which ends there.
    """


class _PreemptedError(RequestTimeoutError):
    """`interrupt` has responded in the meantime: nothing of this response may be sent.

    Raised by what the application calls; what `interrupt` raises comes as well.
    """


class Phase(Enum):
    """What an exchange can be interrupted in."""

    BEFORE_RESPONSE = "before the response"
    STREAMING = "the application produces a response that is streamed"
    CLOSING = "the iterable is closed, and nothing is left to send, or another thread sends it"
    CLOSING_UNSENT = "the iterable is closed before the response is sent"


BEFORE_RESPONSE: Final = Phase.BEFORE_RESPONSE
STREAMING: Final = Phase.STREAMING
CLOSING: Final = Phase.CLOSING
CLOSING_UNSENT: Final = Phase.CLOSING_UNSENT


NO_CLAIM: Final[list[Phase]] = []
"""In which nobody finds a phase: of an exchange whose application is not called yet."""

_opening = RLock()
"""Held while a stream is opened, and by who has to know whether one is: a moment, in which nothing waits or is logged.

One for all exchanges: few need it, and one for each would cost every request. Taken in `with uninterrupted` alone. A
garbage collection meanwhile may call a finalizer of the application's, which may call the `write` of another request.
"""


def _replace_lock() -> None:
    global _opening
    _opening = RLock()


register_at_fork(after_in_child=_replace_lock)


class Exchange:
    """The response to one request, while the application produces it.

    Used by one thread, except for `interrupt`, and for `write`, which an application may pass to another thread.
    Which of them decides how the response begins or ends is settled by `_claim`, a list of one phase: a single thread
    can pop it, and that one alone may touch the connection. (No list has two phases: when compiled and without the
    GIL, `pop` is two steps, and two threads could get the same one.) Each phase has a list of its own, so that a
    thread that is late finds nothing in the one that it has; between two phases the list is empty. After the response
    nobody can: the connection is another exchange's by then. What `interrupt` raises (`interruptions`) is raised
    within `run`: the first phase begins there, and it does not end before it has taken the claim.

    From when a stream is open, its own lock keeps the writing threads apart.
    """

    __slots__ = (
        "_claim",
        "_connection",
        "_default_fields",
        "_interrupted",
        "_is_claimed",
        "_is_preempted",
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
        "streaming_since",
        "thread",
    )

    def __init__(
        self, connection: WsgiConnection, request: RequestHead, environ: Environ, default_fields: DefaultFields
    ) -> None:
        self.environ = environ
        self.head: ResponseHead | None = None  # set by start_response
        self.content_from = connection.sent_octets  # of the connection's, at which the content of the response begins
        self.thread = get_ident()
        self.began = self.ended = 0.0  # monotonic: when the application was called and returned; set by the caller
        self.streaming_since = 0.0  # monotonic: when the response began to be streamed
        self.progress = 0.0  # monotonic: when content was last streamed
        self.request_id = ""  # set by the caller, if the server assigns ids
        self.queue_seconds: float | None = None  # since the proxy passed the request on; set by the caller, if known
        self._claim = NO_CLAIM
        self._is_claimed = False  # by the application, which has begun its response
        self._is_preempted = False  # claimed by `interrupt`
        self._interrupted: OneTimeEvent | None = None  # set when `interrupt` will raise nothing any more
        self._connection = connection
        self._request = request
        self._default_fields = default_fields
        self._stream: StreamedResponse | None = None

    def run(self, application: Any) -> bool:
        """Run the application. Return True if the connection now has a response that `send` is to send.

        Whatever the application raises ends here: with a 500, or by aborting a response that was partly sent.
        """
        environ = self.environ
        environ["wsgi.early_hints"] = self.send_early_hints
        iterable: Any = None
        kind: Any = None
        has_response = False
        try:
            try:
                self._claim = [BEFORE_RESPONSE]  # inside, so that what is raised from now on ends here
                parts = application(environ, self.start_response)
                kind = type(parts)
                if kind is list or kind is tuple:  # which have no close()
                    return self._respond_with_parts(parts)
                iterable = parts
                has_response = (
                    kind is FileWrapper and self._stream is None and self._respond_with_file(iterable)
                ) or self._respond_with_iterable(iterable)
            except BaseException as error:  # noqa: BLE001 - SystemExit in an application must not end a thread of the pool
                if kind is not None and type(error) is TypeError:
                    error = no_iterable(kind) or error
                has_response = self._on_error(error)
            finally:
                if iterable is not None:
                    self._close_iterable(iterable, CLOSING_UNSENT if has_response else CLOSING)
            return has_response
        except BaseException as error:  # noqa: BLE001 - raised again, unless it ends the run
            try:  # noqa: SIM105 - what arrives at the entry of a function, as that of `suppress`, must end here
                self._await_interruption()
            except RequestTimeoutError:
                pass
            return self._on_interrupted(error)
        finally:
            if self._stream is not None:
                self._connection.end_producing(self)
                self._stream.end_run()
            environ.pop("wsgi.early_hints", None)  # breaks a cycle, which would live until the next collection

    @property
    def logged_request_id(self) -> str:
        """The id for the error log: the proxy's if the server assigns none; "" without one."""
        return self.request_id or valid_request_id(self._request.fields.get(KEY))

    @property
    def path(self) -> str:
        """The path of the request, decoded."""
        return self._request.path

    @property
    def has_begun(self) -> bool:
        """Whether the application has begun its response."""
        return self._is_claimed

    @property
    def quiet_since(self) -> float:
        """Monotonic: since when the application has produced nothing for its streamed response.

        inf while it waits for the client to take what it has produced; 0.0 if the response is not streamed.
        """
        stream = self._stream
        return 0.0 if stream is None else max(self.streaming_since, self.progress, stream.peer_awaited_until)

    def interrupt(self, status_code: int, detail: str) -> bool:
        """End the response in place of the application, and raise `RequestTimeoutError` in its thread.

        A response that has not begun is an error response, one that is streamed ends incomplete, and one that is
        complete is sent. From one other thread at a time. Returns False and does nothing at a moment between two
        phases, and after the end.
        """
        self._interrupted = OneTimeEvent()
        try:
            phase = self._claim.pop()
        except IndexError:
            self._interrupted.set()
            return False
        try:
            self._is_preempted = True
            self._end_instead(phase, ProtocolError(status_code, detail))
            interruptions.interrupt(self.thread, RequestTimeoutError)
        finally:
            self._interrupted.set()
        return True

    def _end_instead(self, phase: Phase, error: ProtocolError) -> None:
        connection = self._connection
        stream = connection.streamed_response  # this one's, as long as it is not ended
        if phase is BEFORE_RESPONSE:
            connection.on_sent = None
            connection.refuse(error)
        elif phase is CLOSING_UNSENT or (phase is STREAMING and stream is not None and stream.cut()):
            connection.send()

    def _take_claim(self) -> bool:
        """Begin the response, to send it whole. Return False if another thread has opened a stream, with `write`."""
        if self._begin():
            return True
        if self._opened_stream() is None:
            raise _PreemptedError
        return False

    def _begin(self) -> bool:
        """Take the claim if nobody has, to begin the response."""
        claim = self._claim  # of one phase: what is found in it now cannot be another one a moment later
        try:
            if claim[0] is BEFORE_RESPONSE:
                claim.pop()
                self._is_claimed = True
                return True
        except IndexError:
            pass
        return False

    def _opened_stream(self) -> StreamedResponse | None:
        """The stream, if one is open. Waits for a thread that is opening it."""
        with uninterrupted, _opening:
            return self._stream

    def _end_phase(self) -> None:
        """From here on the exchange cannot be interrupted; raises `_PreemptedError` if it was."""
        try:
            self._claim.pop()
        except IndexError:
            raise _PreemptedError from None

    def _await_interruption(self) -> None:
        """Let no interruption begin any more, and wait for one that has: it is raised here at the latest."""
        self._opened_stream()  # what opens it begins a phase
        with suppress(IndexError):
            self._claim.pop()
        if self._interrupted is not None:
            self._interrupted.wait()
            interruptions.await_arrival()

    def _on_interrupted(self, error: BaseException) -> bool:
        """End a run that `interrupt` has preempted, or that ended with an internal error."""
        interruptions.reset()
        if not isinstance(error, (_PreemptedError, RequestTimeoutError)):
            raise error
        if not self._is_preempted:  # another thread failed to open the stream, and raised why
            self._connection.abort()
        self._finish_line()
        return False

    def _finish_line(self) -> None:
        """Write what the application began to write to `wsgi.errors`: the next request of this thread begins a line."""
        context = self._connection.context
        if context is not None:
            with suppress(Exception):  # of an embedding program's own stream
                context.base["wsgi.errors"].flush()

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Any:
        """PEP 3333's `start_response`; returns `write`."""
        if exc_info:
            try:
                if not self._replace_head(status, headers) and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
            return self.write
        if self.head is not None:
            raise ApplicationError("start_response was called twice without exc_info")
        self.head = check_response_head(status, headers)
        return self.write

    def _replace_head(self, status: Any, headers: Any) -> bool:
        """Return False if another one is sent already."""
        if self._opened_stream() is not None:
            return False
        head = check_response_head(status, headers)
        with uninterrupted, _opening:
            if self._stream is None:
                self.head = head
        return self._stream is None

    def send_early_hints(self, headers: Any) -> None:
        """`wsgi.early_hints`, as in gunicorn: send the fields in a 103 (Early Hints) response now (RFC 8297).

        Does nothing once the response has begun, or for an HTTP/1.0 client, which does not know interim responses.
        Raises `ApplicationError` in a thread other than the application's, which might be responding at that moment.
        """
        octets, dropped = early_hints(headers)
        if get_ident() != self.thread:
            raise ApplicationError("wsgi.early_hints was called by another thread than the application's")
        if self._request.version < HTTP_11:
            return
        with uninterrupted, _opening:
            if self._is_claimed or self.ended:
                return
            if not self._begin():
                raise _PreemptedError
            self._connection.send_interim(octets)
            self._is_claimed = False
            self._claim = [BEFORE_RESPONSE]
        self._report_names(dropped)

    def write(self, content: Any) -> None:
        """PEP 3333's `write`: send `content` now, before what the iterable yields.

        Any thread, while the application runs; raises `ApplicationError` after the end of the response.
        """
        with uninterrupted:
            self._write(content)

    def _write(self, content: Any) -> StreamedResponse:
        """Return the stream."""
        if type(content) is not bytes:
            content = _plain_bytes(content)
        stream = self._stream
        if stream is None:
            stream = self._begin_stream()
            if self.head is not None:
                self._report_dropped(self.head)
        elif not content:
            return stream
        else:
            self.progress = monotonic()  # not after it: until the peer takes it, `quiet_since` is later
        excess = stream.write(content)
        if excess:
            self._report_excess(excess)
        return stream

    def _begin_stream(self) -> StreamedResponse:
        """Begin the response, unless another thread has."""
        with _opening:
            if self._stream is not None:
                return self._stream
            if self._is_claimed or self.ended:
                raise ApplicationError(WRITE_TOO_LATE)
            head = self._begun_head()
            if self._connection.config.is_forked_child:
                raise PeerGoneError("the peer is the parent's")
            if not self._begin():
                if get_ident() == self.thread:
                    raise _PreemptedError
                raise ApplicationError(WRITE_TOO_LATE)
            encoded, framing, length = self._encode_head(head, None)
            return self._open_stream(framing, length, encoded)

    def _open_stream(self, framing: Framing, length: int | None, *begin: bytes) -> StreamedResponse:
        """`begin` is sent with what is written first. In `with _opening`."""
        self.streaming_since = monotonic()
        stream = self._connection.stream_response(framing, length, *begin)
        self._connection.begin_producing(self)
        self._claim = [STREAMING]
        self._stream = stream  # last: another thread may end the phase, or the run
        return stream

    def _begun_head(self) -> ResponseHead:
        if self.head is None:
            raise ApplicationError("start_response was not called before the first content")
        return self.head

    def _encode_head(self, head: ResponseHead, length: int | None) -> tuple[bytes, Framing, int | None]:
        """Return the encoded head, the framing, and the length if that is the framing.

        `length` is that of the content, if it is complete.
        """
        connection, request = self._connection, self._request
        if head.has_date or head.has_server:
            fields = self._default_fields.without(date=head.has_date, server=head.has_server)
        else:
            fields = self._default_fields()
        content_length = length if head.content_length is None else head.content_length
        framing = response_framing(self._is_content_allowed(head), request.version, content_length)
        if framing is BY_LENGTH:
            if length is not None and head.content_length is None:
                fields += b"Content-Length: %d\r\n" % length
        elif framing is BY_CHUNKS:
            fields += b"Transfer-Encoding: chunked\r\n"
        elif framing is BY_CLOSE:
            connection.keeps_alive = False
            connection.is_close_delimited = True
        if not connection.keeps_alive or not connection.config.allow_keep_alive:
            connection.keeps_alive = False
            fields += b"Connection: close\r\n"
        elif request.version < HTTP_11:
            fields += b"Connection: keep-alive\r\n"
        encoded = head.encoded + fields + b"\r\n"
        self.content_from += len(encoded)
        return encoded, framing, content_length if framing is BY_LENGTH else None

    def _is_content_allowed(self, head: ResponseHead) -> bool:
        return head.allows_content and self._request.method != "HEAD"

    def _respond_with_parts(self, parts: Any) -> bool:
        """The content is complete: send the response whole."""
        for part in parts:
            if type(part) is not bytes:
                parts = [_plain_bytes(each) for each in parts]
                break
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        # `_begin` is the fast path of `_take_claim`; test_who_responds_while_it_begins_waits_for_it has both
        if self._stream is None and (self._begin() or self._take_claim()):
            return self._respond_whole(content)
        self.write(content)
        return self._end_stream()

    def _respond_whole(self, content: bytes) -> bool:
        """The claim is taken."""
        head, request, connection = self._begun_head(), self._request, self._connection
        if head.plain_length == len(content) and request.version >= HTTP_11 and request.method != "HEAD":
            # fast path of the rest; test_a_whole_response_is_that_of_the_general_path holds them equal
            keeps_alive = connection.keeps_alive = connection.keeps_alive and connection.config.allow_keep_alive
            encoded = head.encoded + self._default_fields.tail(keeps_alive)
            self.content_from += len(encoded)
        else:
            self._report_dropped(head)
            encoded, framing, length = self._encode_head(head, len(content))
            if framing is UNFRAMED:
                content = b""
            elif length is not None and length < len(content):
                self._report_excess(len(content) - length)
                content = content[:length]
            elif length is not None and length > len(content):
                raise _too_short(length - len(content))
        if len(content) > MAX_UNBUDGETED and not connection.config.response_budget.has_room(len(content)):
            return self._respond_as_client_reads(encoded, content)
        connection.set_response(encoded, content)
        return True

    def _respond_as_client_reads(self, encoded: bytes, content: bytes) -> bool:
        """Slow clients leave no room to buffer more: this thread sends the response, and waits for its client."""
        with uninterrupted:
            with _opening:
                stream = self._open_stream(BY_LENGTH, 0, encoded, content)
            stream.write(b"")
        return self._end_stream()

    def _respond_with_iterable(self, iterable: Iterable[Any]) -> bool:
        """PEP 3333, "Buffering and Streaming": what the iterable yields is sent before it is asked for more.

        A generator runs to its end, since the code after its last `yield` matters too; any other iterable is asked for
        no more than its Content-Length.
        """
        is_generator = type(iterable) is GeneratorType
        thread: InterruptibleThread | None = None
        for content in iterable:
            if type(content) is not bytes:
                content = _plain_bytes(content)
            if not content:
                continue
            stream = self._stream
            # fast path of streaming; test_an_iterable_that_is_not_streamed_sends_what_a_generator_streams
            if stream is None and not is_generator:
                head = self.head
                is_whole = head is not None and (head.plain_length == len(content) or self._is_last(head, content))
                if is_whole and self._take_claim():
                    return self._respond_whole(content)
            is_past_end = stream is not None and stream.remaining == 0
            if thread is None:
                thread = interruptions.current()
            thread.enter()  # as `write`, with less to do for each piece
            try:
                stream = self._write(content)
            finally:
                thread.leave()
            if is_past_end or stream.framing is UNFRAMED:
                break
        if self._stream is None and self._take_claim():
            return self._respond_whole(b"")
        return self._end_stream()

    def _is_last(self, head: ResponseHead, content: bytes) -> bool:
        """Whether nothing after `content` would be sent: then there is no need to stream, or to ask for more."""
        if not self._is_content_allowed(head):
            return True
        return head.content_length is not None and len(content) >= head.content_length

    def _respond_with_file(self, wrapper: FileWrapper) -> bool:
        """Respond with the range of a plain file; return False if the wrapper has to be iterated over."""
        found, head = plain_range(wrapper.filelike), self.head
        if found is None or head is None or not self._take_claim():
            return False
        count = found.length
        if head.content_length is not None:
            count = min(count, head.content_length)
        # fast path of the rest; test_a_file_that_is_read_is_sent_as_one_that_sendfile_sends
        if count <= MAX_READ_FILE:
            return self._respond_whole(pread(found.fd, count, found.offset))
        self._report_dropped(head)
        encoded, framing, length = self._encode_head(head, count)
        if framing is UNFRAMED:
            self._connection.set_response(encoded)
            return True
        if length != count:
            raise ApplicationError("the file is shorter than its Content-Length")
        # A descriptor of its own lets the `close` of the application run now, in this thread.
        self._connection.set_file_response(encoded, os.dup(found.fd), found.offset, count)
        return True

    def _end_stream(self) -> bool:
        """The iterable is exhausted, or Content-Length is reached."""
        stream = self._stream
        assert stream is not None
        if stream.remaining:
            raise _too_short(stream.remaining)
        self._end_phase()
        try:
            return stream.end()
        except PeerGoneError as error:
            return self._on_peer_gone(error)

    def _on_error(self, error: BaseException) -> bool:
        if self._connection.config.is_forked_child:
            exit_child(error)
        if isinstance(error, _PreemptedError) or (self._is_preempted and isinstance(error, RequestTimeoutError)):
            raise error
        with uninterrupted, _opening:
            stream, is_begun = self._stream, self._is_claimed  # without a stream, by this thread
        if stream is not None:
            self._end_phase()
            if isinstance(error, PeerGoneError) and self._connection.state is CLOSED:  # not of another one's client
                return self._on_peer_gone(error)
        if isinstance(error, ApplicationError):
            self._log_error(str(error))
        else:
            self._log_error(f"the application raised {type(error).__name__}", error)
        if not is_begun and not self._take_claim():
            stream = self._stream
            self._end_phase()
        if stream is not None:
            return stream.cut()
        connection = self._connection
        connection.keeps_alive = False
        response = error_response(
            500,
            self._request.method,
            extra=self._default_fields.for_error_response(self.request_id),
            request_id=self.logged_request_id,
            accept=self._request.fields.get("HTTP_ACCEPT", ""),
        )
        connection.set_response(response)
        self.content_from = connection.sent_octets + response.index(b"\r\n\r\n") + 4
        self.head = ResponseHead(status="500 Internal Server Error", status_code=500, headers=[])
        return True

    def release_in_child(self) -> None:
        """In a process that the application forked: other threads of the parent's may have held locks."""
        if self._stream is not None:
            self._stream.release_in_child()

    def _on_peer_gone(self, error: PeerGoneError) -> bool:
        log.debug("%s: the client disconnected before the response was complete: %s", self.description(), error)
        return False

    def _close_iterable(self, iterable: Any, phase: Phase) -> None:
        """Raises `_PreemptedError` if `interrupt` has sent the response, or what it had to, meanwhile."""
        self._claim = [phase]
        try:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()
        except BaseException as error:  # noqa: BLE001 - the response is decided; this can only be logged
            self._log_error(f"close() of the iterable raised {type(error).__name__}", error)
        try:
            self._claim.pop()  # as `_end_phase`, without a call
        except IndexError:
            raise _PreemptedError from None

    def _log_error(self, what: str, error: BaseException | None = None) -> None:
        if error is not None:
            begin_in_application(error)
        log.error("%s: %s", self.description(), what, exc_info=error or False, request_id=self.logged_request_id)

    def _report_excess(self, octets: int) -> None:
        self._log_error(f"the content exceeds Content-Length by {octets} bytes, which were not sent")

    def _report_dropped(self, head: ResponseHead) -> None:
        if head.dropped:
            self._report_names(head.dropped)

    def _report_names(self, names: tuple[str, ...]) -> None:
        for name in newly_dropped(names):
            log.warning(
                "%s: the application's response header %r is not sent: it belongs to the connection, and so to the "
                "server (PEP 3333). Logged once for each name.",
                self.description(),
                name,
                request_id=self.logged_request_id,
            )

    def description(self) -> str:
        return f"{self._request.method} {self._request.request_target[:200]!r}"


def _too_short(octets: int) -> ApplicationError:
    return ApplicationError(f"the content is {octets} bytes shorter than its Content-Length")


def _plain_bytes(content: object) -> bytes:
    """`content`, which may be of a class of bytes, as frameworks mark what they have encoded."""
    if not isinstance(content, bytes):
        raise ApplicationError(f"content must be bytes, not {type(content).__name__}")
    return bytes(memoryview(content))  # what it holds, whatever its methods say
