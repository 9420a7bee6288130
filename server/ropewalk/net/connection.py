"""One connection: its socket, its buffers, its state, and who holds it.

A connection has one holder at a time, so it needs no lock from one request to the next:

- *armed*: the epoll holds it for one event (EPOLLONESHOT), which hands it to the thread that polls;
- otherwise: the thread that took it holds it, or the pool's queue of ready connections. While that queue is not empty,
  a connection joins its end after each response, and is armed only if no request is there when its turn comes. This
  saves a busy server two calls of the epoll a request; an idle server arms at once.

The thread that checks *deadlines* does not hold the connection and never changes its state: it shuts the socket down,
and the event that this causes brings the connection to a holder like any other event. A response that is sent while the
application still produces it has two parties; they meet in `ropewalk.net.streamed_response`.

This module is longer than most: receiving, responding and closing move one state, so a change to one of them has to
consider the others. Everything else is in modules of its own: reading requests, buffering and streaming responses, the
handshake.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Final, Generic, TypeVar

from ropewalk.errors import FileTruncatedError, ProtocolError
from ropewalk.http.head import END_OF_HEAD, RequestHead
from ropewalk.http.response import Framing, error_response
from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection_config import ConnectionConfig, ConnectionEvents
from ropewalk.net.connection_states import (
    AWAITING_ROOM,
    BODY,
    CLOSED,
    HANDSHAKE,
    HEAD,
    IDLE,
    LINGERING,
    MOVES,
    RECEIVING,
    RUNNING,
    SENDING,
    STREAMING,
    State,
)
from ropewalk.net.request_reader import RequestReader
from ropewalk.net.send_queue import queued_octets
from ropewalk.net.streamed_response import StreamedResponse
from ropewalk.net.write_buffer import WriteBuffer
from ropewalk.portable import EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, MSG_MORE

if TYPE_CHECKING:  # only a server that listens with TLS or the PROXY protocol loads these, and OpenSSL with them
    from ropewalk.net.handshake import Handshake
    from ropewalk.net.tls import TlsSocket

log: Final = get_logger()

READABLE: Final = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT
WRITABLE: Final = EPOLLOUT | EPOLLONESHOT

# After a connection was queued and no request was there, its next responses are followed by arming it, this many of
# them: a look at the socket in vain costs three calls of the epoll.
ARMED_AT_LEAST: Final = 8

RECEIVE_OCTETS: Final = 64 * 1024  # one recv: many times a usual head, and few calls for an upload
MAX_RECEIVES: Final = 4  # at an event, while there is more: an upload needs fewer events, and keeps no other waiting
MAX_LINGER_OCTETS = 1024 * 1024  # read and discarded after a last response, so that the peer can read it
LINGER_TIMEOUT = 2.0  # seconds for the same; nginx waits 5 s a read, up to 30 s
MIN_BODY_RATE = 240  # octets of content a second, in each `body_timeout`; Apache's default is 500
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close sends a reset

# Content up to this size is copied to its head: cheaper than passing the kernel two parts.
MAX_JOINED: Final = 16 * 1024

NO_EXTENSION = (inf, 0.0)
"""A deadline, and until when (monotonic) it is extended, because the peer has taken some of its response since."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

ContextT = TypeVar("ContextT")
ExchangeT = TypeVar("ExchangeT")

OnSent = Callable[["Connection[Any, Any]", bool], None]
"""Called with the connection, and whether its response was sent completely."""


class Connection(Generic[ContextT, ExchangeT]):
    """One connection. Unless its docstring says otherwise, a method is called by the holder alone.

    The layers above attach two objects of theirs: `context`, which they prepare once for all requests of a connection
    (None during the handshake), and `exchange`, the request under way.
    """

    __slots__ = (
        "_arm",
        "_arms_left",
        "_content",
        "_discarded_octets",
        "_extension",
        "_handshake",
        "_interim",
        "_is_held_back",
        "_is_input_buffered",
        "_producing",
        "_queued_octets",
        "_rate_octets",
        "_rate_since",
        "_response",
        "_write_buffer",
        "config",
        "context",
        "deadline",
        "events",
        "exchange",
        "fd",
        "is_close_delimited",
        "is_cut",
        "is_refused",
        "keeps_alive",
        "on_sent",
        "peer",
        "received_octets",
        "request_reader",
        "requests",
        "sent_octets",
        "sock",
        "state",
        "streamed_response",
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
        """`context` is None where there is a `handshake`, which makes it."""
        self.sock: socket.socket | TlsSocket = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.config = config
        self.events = events
        self.context = context
        self.exchange: ExchangeT | None = None
        self.state = IDLE if handshake is None else HANDSHAKE
        # Monotonic seconds, inf while no timeout runs; also read by the sweeping thread. The first request has the
        # timeout of a head, not that of keep-alive: a connection that was never used is not worth keeping.
        self.deadline = monotonic() + config.head_timeout
        self.keeps_alive = True
        self.is_refused = False
        self.is_close_delimited = False  # only the end of the connection shows the end of the response
        self.is_cut = False  # the response ends before its content does
        self.requests = 0
        self.received_octets = 0  # over the connection's life
        self.sent_octets = 0
        self.on_sent: OnSent | None = None  # called once, when the response of `exchange` is sent or cut
        self.streamed_response: StreamedResponse | None = None
        self._producing: list[ExchangeT] | None = None  # a list only once a response is streamed: it costs 64 octets
        self.request_reader = RequestReader(config.request_limits)
        self._handshake = handshake
        self._arm: Callable[[int, int], None] = self._first_arm
        self._arms_left = 0  # responses after which it is armed, even while others are queued
        self._rate_since = 0.0  # monotonic: the period in which the rate of the content is measured
        self._rate_octets = 0  # of the content, when it began
        self._is_input_buffered = False  # queued for what is in the reader's buffer, not for an event
        self._is_held_back = False  # `_push` will be called: set by the holder, cleared by the caller of `_push`
        self._response: bytes = b""  # the head, with the content where that is short
        self._content: bytes = b""  # the content, where it is long
        self._interim: bytes = b""  # what the socket did not take of an interim response
        self._write_buffer: WriteBuffer | None = None
        self._discarded_octets = 0
        self._queued_octets = 0  # what the peer had not taken when it was last seen; also by the sweeping thread
        self._extension = NO_EXTENSION  # by the sweeping thread alone

    @property
    def head(self) -> RequestHead | None:
        """The request's head, as soon as it is parsed."""
        return self.request_reader.head

    @property
    def body(self) -> IO[bytes] | None:
        """The content of a whole request, positioned at its start; None without content."""
        return self.request_reader.body

    @property
    def body_octets(self) -> int:
        """Octets of the request's content received so far."""
        return self.request_reader.body_octets

    def move(self, state: State) -> None:
        """Change the state; a move that the table does not have is a bug and raises `RuntimeError`."""
        if state not in MOVES[self.state]:
            raise RuntimeError(f"connection: {self.state.value} -> {state.value}")
        self.state = state

    def _first_arm(self, fd: int, events: int) -> None:
        """Register with the epoll, at the first wait: a connection that never waits costs no such call."""
        self._arm = self.events.arm  # first: the event may wake another thread before the call returns
        self.events.register(fd, events)

    def await_room(self) -> None:
        """Hand the connection to the epoll until its socket takes more; the peer has `send_timeout` to take some."""
        with contextlib.suppress(OSError, ValueError):  # gone, which the event will show
            self._queued_octets = queued_octets(self.fd)
        self.deadline = monotonic() + self.config.send_timeout
        self._arm(self.fd, WRITABLE)

    # Receiving

    def receive(self) -> bool:
        """Continue after an event; return True when `head` and `body` hold a whole request (state RUNNING).

        In every other case the connection is armed, queued or closed when this returns.
        """
        if self.state not in RECEIVING and not self._continue():
            return False
        reader = self.request_reader
        try:
            if self._is_input_buffered:
                self._is_input_buffered = False
                is_whole = reader.feed_buffered()  # pipelined: what is here comes before what is still to arrive
            else:
                data = self.sock.recv(RECEIVE_OCTETS)
                if not data:
                    self._end_of_input()
                    return False
                self.received_octets += len(data)
                is_whole = reader.feed(data) or (len(data) == RECEIVE_OCTETS and self._receive_more())
            if is_whole:
                self._begin_running()
                return True
            self._await_more(monotonic())
        except BlockingIOError:
            self._arms_left = ARMED_AT_LEAST
            self._arm(self.fd, READABLE)
        except ProtocolError as error:
            self.refuse(error)
        except OSError as error:
            log.debug("receiving from %s failed: %s", self.peer, error)
            self.close()
        return False

    def _receive_more(self) -> bool:
        """There mostly is more after as much as one call takes. The end of input is left for the next event."""
        reader = self.request_reader
        for _ in range(1, MAX_RECEIVES):
            try:
                data = self.sock.recv(RECEIVE_OCTETS)
            except BlockingIOError:
                return False
            self.received_octets += len(data)
            if data and reader.feed(data):
                return True
            if len(data) < RECEIVE_OCTETS:
                return False
        return False

    def _begin_running(self) -> None:
        self.state = RUNNING  # fast path of `move`; test_only_receiving_states_become_a_request holds them equal
        self.deadline = inf
        self.requests += 1
        head = self.request_reader.head
        assert head is not None
        self.keeps_alive = head.is_persistent

    def _await_more(self, now: float) -> None:
        """Part of a request is here: check its time, and arm for the rest."""
        if self._is_held_back:
            self._push()
        state = self.request_reader.state
        if state is not self.state:
            self._begin_part(state, now)
        elif state is not IDLE and now >= self.deadline:
            raise ProtocolError(408, f"the {state.value} took too long")
        if state is BODY:
            self._check_body_rate(now)
            self.deadline = now + self.config.body_timeout
        self._arm(self.fd, READABLE)

    def _check_body_rate(self, now: float) -> None:
        """Refuse content that arrives too slowly, in each period of its own: a fast beginning earns no slow rest."""
        seconds = now - self._rate_since
        if seconds < self.config.body_timeout:
            return
        octets = self.request_reader.body_octets
        if octets - self._rate_octets < seconds * MIN_BODY_RATE:
            raise ProtocolError(408, f"content slower than {MIN_BODY_RATE} octets a second")
        self._rate_since, self._rate_octets = now, octets

    def _begin_part(self, state: State, now: float) -> None:
        self.move(state)
        if state is HEAD:
            self.deadline = now + self.config.head_timeout
            return
        self._rate_since, self._rate_octets = now, 0
        head = self.request_reader.head
        if head is not None and head.expects_continue and not self.request_reader.body_octets:
            self.send_interim(CONTINUE)

    def _end_of_input(self) -> None:
        """The peer sends no more, or the sweeping thread shut the input down because a deadline passed."""
        if self.state is IDLE or monotonic() < self.deadline:
            if not isinstance(self.sock, socket.socket):
                self.wake(socket.SHUT_WR)
            self.close()  # between two requests, or within one: half a request is never served
        else:
            self.refuse(ProtocolError(408, f"the {self.state.value} took too long"))

    def check_deadline(self, now: float) -> None:
        """Cause an event if the deadline has passed. Called by the sweeping thread, which is not the holder."""
        deadline = self.deadline
        if deadline < now:
            if self.state in AWAITING_ROOM:
                if self._takes_some(deadline, now):
                    return
                log.debug("%s took nothing of its response in time", self.peer)
            self.wake(socket.SHUT_RD if self.state in RECEIVING else socket.SHUT_RDWR)

    def _takes_some(self, deadline: float, now: float) -> bool:
        """Whether the peer has taken some of its response since the last event, and within `send_timeout`."""
        try:
            queued = queued_octets(self.fd)
        except (OSError, ValueError):
            return False
        if queued < self._queued_octets:
            self._queued_octets = queued
            self._extension = deadline, now + self.config.send_timeout
            return True
        extended, until = self._extension
        return extended == deadline and now <= until

    def wake(self, how: int = socket.SHUT_RD) -> None:
        """Cause an event by shutting the socket down: the holder then finds the end of input. From any thread."""
        with contextlib.suppress(OSError):  # closed or disconnected already: then there is an event as well
            self.sock.shutdown(how)

    # Responding

    def refuse(self, error: ProtocolError) -> None:
        """Send an error response, and read nothing on this connection as a request again."""
        self.keeps_alive = False
        self.is_refused = True
        fields, request_id = self.events.on_refused(self, error)
        reader = self.request_reader
        method = "HEAD" if reader.is_head_method else "GET"
        accept = "" if reader.head is None else reader.head.fields.get("HTTP_ACCEPT", "")
        response = error_response(error.status_code, method, extra=fields, request_id=request_id, accept=accept)
        self.set_response(response)
        self.move(SENDING)
        self.send()

    def send_interim(self, octets: bytes) -> None:
        """Send an interim response (1xx) before the final one, which takes along what the socket does not take now."""
        octets = self._interim + octets
        try:
            sent = self.sock.send(octets)
        except OSError as error:  # full; or gone, which sending the response will find
            log.debug("an interim response to %s waits: %s", self.peer, error)
            sent = 0
        self._interim = octets[sent:]

    def set_response(self, head: bytes, content: bytes = b"") -> None:
        """Set the whole response, for `send` to send."""
        if self._interim:
            head = self._interim + head
        if len(content) > MAX_JOINED:
            self._response, self._content = head, content
        else:
            self._response = head + content

    def set_file_response(self, head: bytes, fd: int, offset: int, count: int) -> None:
        """Set a response of `head` and `count` octets of the open file `fd`, which the connection closes."""
        buffer = self._write_buffer = WriteBuffer(self.config.response_budget)
        buffer.append(self._interim + head)
        buffer.append_file(fd, offset, count)

    def cut_response(self) -> None:
        """Let the response end with what was sent, or is still to be sent: its framing shows that it is incomplete."""
        self.is_cut = True
        self.keeps_alive = False
        if not isinstance(self.sock, socket.socket):
            self.sock.skip_close_notify()

    @property
    def producing(self) -> tuple[ExchangeT, ...]:
        """Whose response is or was streamed, and whose application has not returned. Any thread.

        An application may return long after its response is sent, or the connection closed.
        """
        return tuple(self._producing or ())

    def begin_producing(self, exchange: ExchangeT) -> None:
        """By the application's thread, before its response is streamed: one exchange after the other does that."""
        if self._producing is None:
            self._producing = []
        self._producing.append(exchange)

    def end_producing(self, exchange: ExchangeT) -> None:
        """By the same thread, when the application has returned."""
        if self._producing is not None:
            self._producing.remove(exchange)

    def stream_response(self, framing: Framing, length: int | None, *begin: bytes) -> StreamedResponse:
        """Begin a response that is sent while the application produces it; `StreamedResponse` has the arguments."""
        stream = StreamedResponse(self, self.config, framing, length, (self._interim, *begin))
        self.move(STREAMING)  # first: it raises if there is a response already
        self._write_buffer = stream.write_buffer
        self.streamed_response = stream
        return stream

    def send(self) -> None:
        """Send as much of the response as the socket takes; finish it, or arm for the rest."""
        try:
            buffer = self._write_buffer
            if buffer is None:
                # fast path of `WriteBuffer`; test_a_response_is_sent_as_from_a_write_buffer holds them equal
                response, content = self._response, self._content
                try:
                    if content:
                        sent = self.sock.sendmsg([response, content])
                    elif self.request_reader.buffer:
                        sent = self._send_before_next(response)
                    else:
                        sent = self.sock.send(response)
                except BlockingIOError:
                    sent = 0
                self.sent_octets += sent
                if sent == len(response) + len(content):
                    self._response_sent()
                    return
                buffer = self._write_buffer = WriteBuffer(self.config.response_budget)
                buffer.append(memoryview(response)[sent:])
                buffer.append(memoryview(content)[max(0, sent - len(response)) :])
                self._response = self._content = b""  # from here on the write buffer decides what stays in memory
            self.sent_octets += buffer.flush(self.sock)
            if not buffer.octets:
                self._response_sent()
                return
        except FileTruncatedError as error:  # cannot be close-delimited: it was announced with its size
            log.error("a response to %s is cut: %s", self.peer, error)
            self.cut_response()
            self._response_sent()
            return
        except OSError as error:
            log.debug("sending to %s failed: %s", self.peer, error)
            self.abort()
            return
        buffer.settle()
        if self.state is not SENDING:
            self.move(SENDING)
        self.await_room()

    def _send_before_next(self, response: bytes) -> int:
        """Send a response; if the next request is here, the kernel may wait for its response to fill a packet.

        For a peer that pipelines this saves most of what sending costs. If the application takes its time with the next
        request, another thread has the kernel wait no more.
        """
        sock = self.sock
        is_followed = self.keeps_alive and END_OF_HEAD in self.request_reader.buffer
        if not is_followed or not MSG_MORE or not isinstance(sock, socket.socket):
            return sock.send(response)
        sent = sock.send(response, MSG_MORE)
        if not self._is_held_back:  # after the call: if it is True, that other thread has yet to come
            self._is_held_back = True
            self.events.call_soon(self._push)
        return sent

    def _push(self) -> None:
        """Have the kernel send what it holds back: tcp(7), TCP_NODELAY. From any thread."""
        self._is_held_back = False
        with contextlib.suppress(OSError):  # closed, or no TCP, where nothing is held back
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _response_sent(self) -> None:
        """Go on to the next request, or close."""
        on_sent = self.on_sent
        if on_sent is not None:
            self.on_sent = None
            on_sent(self, not self.is_cut)
        self._response = self._content = self._interim = b""
        self.exchange = None
        if self._write_buffer is not None:
            self._write_buffer.close()
            self._write_buffer = self.streamed_response = None
        reader = self.request_reader
        if self.keeps_alive:  # as the response said, even if draining began since: the next response says otherwise
            reader.reset()
            if self.state is RUNNING:
                self.state = IDLE  # fast path of `move`; test_a_request_may_end_in_idle holds them equal
            else:
                self.move(IDLE)
            self.deadline = monotonic() + self.config.idle_timeout
            if reader.buffer:
                self._is_input_buffered = True
                self.events.queue(self)
            elif self._arms_left:
                self._arms_left -= 1
                self._arm(self.fd, READABLE)
            elif self.events.ready:
                self.events.queue(self)  # when its turn comes, a busy peer has sent the next request
            else:
                self._arm(self.fd, READABLE)
        elif self.is_refused or reader.buffer or (reader.head is not None and reader.head.is_persistent):
            self._linger()
        elif not isinstance(self.sock, socket.socket):
            self._linger()  # RFC 9112 section 9.8: an end without close_notify is a cut
        else:
            self.close()  # the peer asked for it, so it sends no more

    def _continue(self) -> bool:
        """Handle an event in a state other than receiving; True when there may be a request to receive now."""
        if self.state is SENDING:
            self.send()  # if the sweeping thread has shut the socket down, this fails
        elif self.state is LINGERING:
            self._shut_down_output()
        elif self.state is HANDSHAKE:
            return self._advance_handshake()
        elif self.streamed_response is not None and self.streamed_response.on_event():
            self.send()
        return False

    def _advance_handshake(self) -> bool:
        handshake = self._handshake
        assert handshake is not None
        try:
            try:
                handshake.advance()
            finally:
                self.sock = handshake.sock  # first: `wake` and `close` have to use this one
        except BlockingIOError:
            self._arm(self.fd, WRITABLE if handshake.wants_output else READABLE)
            return False
        except ProtocolError as error:
            self.events.on_disconnected(self.peer, error.detail)
            self.close()
            return False
        except OSError as error:
            log.debug("the handshake with %s failed: %s", self.peer, error)
            self.close()
            return False
        self._handshake = None
        self.deadline = monotonic() + self.config.head_timeout
        self.context = handshake.make_context(handshake)
        self.move(IDLE)
        return True

    # Closing

    def _linger(self) -> None:
        """Close so that the peer can still read the response: closing with unread input would reset the connection."""
        self.move(LINGERING)
        self.deadline = monotonic() + LINGER_TIMEOUT
        self._shut_down_output()

    def _shut_down_output(self) -> None:
        """End the output (later calls find it ended), then discard what the peer still sends."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:  # no room for the close_notify of TLS
            self.await_room()
            return
        except OSError:
            self.close()
            return
        self._discard_input()

    def _discard_input(self) -> None:
        try:
            while self._discarded_octets < MAX_LINGER_OCTETS and monotonic() < self.deadline:
                data = self.sock.recv(RECEIVE_OCTETS)
                if not data:
                    break
                self._discarded_octets += len(data)
        except BlockingIOError:
            self._arm(self.fd, READABLE)
            return
        except OSError as error:
            log.debug("%s is gone: %s", self.peer, error)
        self.close()

    def release_in_child(self) -> None:
        """Close the socket in a process that the application forked, without a word to the peer or the epoll."""
        self.state = CLOSED
        self.on_sent = None
        self.sock.close()

    def abort(self) -> None:
        """Close at once with a reset: the peer does not take its response, and what it was sent is dropped."""
        self._prepare_reset()
        self.close()

    def _prepare_reset(self) -> None:
        with contextlib.suppress(OSError):  # not TCP, or gone
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)

    def end(self) -> None:
        """Have the connection closed at once, without harm to its holder. From any thread, when the server ends."""
        if self.is_close_delimited:  # shut down, it would look complete
            if self.streamed_response is not None:
                self.streamed_response.reset()
        else:
            self.wake(socket.SHUT_RDWR)
        stream = self.streamed_response
        if stream is not None:
            stream.stop_waiting()

    def close(self) -> None:
        """Close at once and release everything; with a reset if a response that is cut would look complete."""
        if self.state is CLOSED:
            return
        is_incomplete = self.exchange is not None and not self.is_refused
        if is_incomplete and self.is_close_delimited:
            self._prepare_reset()
        self.move(CLOSED)
        self.deadline = inf
        self.events.on_closed(self, is_incomplete or self.is_cut)
        self._arm = self.events.arm  # leaves no reference cycle to collect
        self.sock.close()
        if self._write_buffer is not None:
            self._write_buffer.close()
        on_sent = self.on_sent
        if on_sent is not None:
            self.on_sent = None
            on_sent(self, False)
        self.exchange = None
        stream = self.streamed_response
        if stream is None or stream.is_run_over:  # otherwise the application may still be reading the request's content
            self.release_request()

    def release_request(self) -> None:
        """Release what a closed connection holds of its request."""
        self.streamed_response = None
        self.request_reader.reset()
