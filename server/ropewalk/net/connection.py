"""A connection: its socket, its state, and who holds it.

A connection has one holder at a time, so it needs no lock on its way from request to request:

- *armed*: the epoll holds it (one event, then it is disarmed), until an event hands it to the thread that polls;
- otherwise the thread that took it, or the queue of the pool that it stands in. With others in that queue it goes to
  its end behind an answer, and is armed if there is no request when its turn comes: that saves a busy server two calls
  of the epoll a request, and a server with little to do arms at once.

A *deadline* is looked at by the thread that sweeps, which is not the holder and never touches the state: it shuts the
socket down, and the event that this causes brings the connection to a holder in the ordinary way. An answer that is
sent while the application makes it has two parties; `ropewalk.net.streamed_response` is their meeting place.

Longer than most modules here: receiving, answering and closing stand together because they move one state, and who
changes one of them has to see the others. What could be taken out has been (reading, writing, streaming,
the handshake, the configuration).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from ropewalk.errors import ProtocolError
from ropewalk.http.head import RequestHead
from ropewalk.http.response import error_response
from ropewalk.logs.error_log import get_logger
from ropewalk.net.connection_config import ConnectionConfig
from ropewalk.net.connection_states import (
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
from ropewalk.net.streamed_response import StreamedResponse
from ropewalk.net.write_buffer import WriteBuffer

if TYPE_CHECKING:  # TLS, and OpenSSL with it, is loaded by who listens with it
    from ropewalk.net.handshake import Handshake
    from ropewalk.net.tls import TlsSocket

log = get_logger()

READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
WRITABLE = select.EPOLLOUT | select.EPOLLONESHOT

# Once a connection was found without a request, so many are waited for in the epoll: a look in vain costs three of its
# calls.
ARMED_AT_LEAST = 8

RECEIVE_OCTETS = 64 * 1024  # one recv: a usual head many times over, and few calls for an upload
MAX_LINGER_OCTETS = 1024 * 1024  # read and thrown away behind a last answer, so that the peer can read it
LINGER_TIMEOUT = 2.0  # seconds for the same; nginx waits 5 s a read, up to 30 s
MIN_BODY_RATE = 240  # octets a second over a whole body, past the first `body_timeout`; Apache's default is 500
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close sends a reset, so that no peer takes a cut for the end

# Content up to this size is copied behind its head: cheaper than handing the kernel two parts.
MAX_JOINED = 16 * 1024

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


OnSent = Callable[["Connection", bool], None]
"""Called with the connection, and whether its answer is whole."""


class Connection:
    """One connection. Unless it says otherwise, a method is called by its holder alone."""

    __slots__ = (
        "_arm",
        "_body_since",
        "_content",
        "_handshake",
        "_interim",
        "_is_again",
        "_lingered",
        "_response",
        "_to_arm",
        "_write_buffer",
        "config",
        "context",
        "deadline",
        "exchange",
        "fd",
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
        self, sock: socket.socket, peer: Any, config: ConnectionConfig, context: Any, handshake: Handshake | None = None
    ) -> None:
        self.sock: socket.socket | TlsSocket = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.config = config
        self.context = context  # the layers above keep here what they prepare once for a connection,
        self.exchange: Any = None  # and here what they hold of the request under way
        self.state = IDLE if handshake is None else HANDSHAKE
        # In monotonic seconds, inf while no time runs; read by the sweeping thread.
        self.deadline = monotonic() + (config.idle_timeout if handshake is None else config.head_timeout)
        self.keeps_alive = True
        self.is_refused = False
        self.requests = 0
        self.received_octets = 0  # since it was opened
        self.sent_octets = 0
        self.on_sent: OnSent | None = None  # told once that `exchange` is out, or was cut
        self.streamed_response: StreamedResponse | None = None
        self._handshake = handshake
        self.request_reader = RequestReader(config.head_limits, config.chunk_limits, config.body_memory)
        self._arm: Callable[[int, int], None] = self._first_arm
        self._body_since = 0.0
        self._is_again = False  # queued for what is in the buffer, not for an event
        self._response: bytes = b""
        self._content: bytes = b""  # of the answer, where it stands apart from its head
        self._interim: bytes = b""  # of an interim answer, what the socket did not take
        self._write_buffer: WriteBuffer | None = None
        self._lingered = 0
        self._to_arm = 0  # so many answers are followed by the epoll, whoever else is queued

    @property
    def head(self) -> RequestHead | None:
        """The request's head, as soon as it was parsed."""
        return self.request_reader.head

    @property
    def body(self) -> IO[bytes] | None:
        """The whole request's content, standing at its start; None without content."""
        return self.request_reader.body

    @property
    def body_octets(self) -> int:
        """How many octets of content the request has, as far as they are here."""
        return self.request_reader.body_octets

    def move(self, state: State) -> None:
        """Go to `state`; a move that the table does not have is a fault of ours and raises."""
        if state not in MOVES[self.state]:
            raise RuntimeError(f"connection: {self.state.value} -> {state.value}")
        self.state = state

    def _first_arm(self, fd: int, events: int) -> None:
        """A connection that is served at once and closed never costs a call of the epoll."""
        self._arm = self.config.arm  # first: the event may wake another thread before the call returns
        self.config.register(fd, events)

    def arm_for_output(self) -> None:
        """Hand the connection to the epoll until its socket takes more."""
        self._arm(self.fd, WRITABLE)

    # Receiving

    def receive(self) -> bool:
        """Go on after an event; return True when `head` and `body` hold a whole request (state RUNNING).

        In every other case the connection is armed, queued again or closed when this returns.
        """
        if self.state not in RECEIVING and not self._go_on():
            return False
        receiver = self.request_reader
        try:
            if self._is_again:
                self._is_again = False
                is_whole = receiver.take_buffered()  # pipelined: what is here goes before what is still to come
            else:
                data = self.sock.recv(RECEIVE_OCTETS)
                if not data:
                    self._end_of_input()
                    return False
                self.received_octets += len(data)
                is_whole = receiver.take(data)
            if is_whole:
                self._is_whole()
                return True
            self._await_more(monotonic())
        except BlockingIOError:
            self._to_arm = ARMED_AT_LEAST
            self._arm(self.fd, READABLE)
        except ProtocolError as error:
            self.refuse(error)
        except OSError as error:
            log.debug("receiving from %s failed: %s", self.peer, error)
            self.close()
        return False

    def _is_whole(self) -> None:
        self.state = RUNNING  # a move that every state of RECEIVING has
        self.deadline = inf
        self.requests += 1
        head = self.request_reader.head
        assert head is not None
        self.keeps_alive = head.is_persistent

    def _await_more(self, now: float) -> None:
        """Part of a request is here: hold its time, and arm for the rest."""
        state = self.request_reader.state
        if state is not self.state:
            self._begin_part(state, now)
        elif state is not IDLE and now >= self.deadline:
            raise ProtocolError(408, f"the {state.value} took too long")
        if state is BODY:
            late = now - self._body_since - self.config.body_timeout
            if late > 0 and self.request_reader.body_octets < late * MIN_BODY_RATE:
                raise ProtocolError(408, f"content slower than {MIN_BODY_RATE} octets a second")
            self.deadline = now + self.config.body_timeout
        self._arm(self.fd, READABLE)

    def _begin_part(self, state: State, now: float) -> None:
        self.move(state)
        if state is HEAD:
            self.deadline = now + self.config.head_timeout
            return
        self._body_since = now
        head = self.request_reader.head
        if head is not None and head.expects_continue and not self.request_reader.body_octets:
            self.send_interim(CONTINUE)

    def _end_of_input(self) -> None:
        """The peer will send no more, or a deadline passed and the sweeping thread shut the input down."""
        if self.state is IDLE or monotonic() < self.deadline:
            if not isinstance(self.sock, socket.socket):
                self.wake(socket.SHUT_WR)
            self.close()  # between requests, or in a request that was cut: half a request is never one
        else:
            self.refuse(ProtocolError(408, f"the {self.state.value} took too long"))

    def check_deadline(self, now: float) -> None:
        """Called by the sweeping thread, which does not hold the connection: make an event if the deadline passed."""
        if self.deadline < now:
            self.wake(socket.SHUT_RD if self.state in RECEIVING else socket.SHUT_RDWR)

    def wake(self, how: int = socket.SHUT_RD) -> None:
        """Cause an event by shutting the socket down, from any thread: the holder then finds the end of input."""
        with contextlib.suppress(OSError):  # closed or disconnected already: then there is an event as well
            self.sock.shutdown(how)

    # Answering

    def refuse(self, error: ProtocolError, extra: str = "") -> None:
        """Answer a fault of the peer, and let nothing on this connection be read as a request again.

        `extra` is further field lines, each with its CRLF.
        """
        log.debug("refused %s: %s", self.peer, error)
        self.keeps_alive = False
        self.is_refused = True
        fields = self.config.refused(self, error.status_code)
        method = "HEAD" if self.request_reader.is_head_method else "GET"
        self.set_response(error_response(error.status_code, method, extra=fields + extra))
        self.move(SENDING)
        self.send()

    def send_interim(self, octets: bytes) -> None:
        """Send an interim answer (1xx) while the application still works; what does not go now goes with the answer."""
        octets = self._interim + octets
        try:
            sent = self.sock.send(octets)
        except OSError as error:  # full, or gone, which the answer will find out
            log.debug("an interim answer to %s waits: %s", self.peer, error)
            sent = 0
        self._interim = octets[sent:]

    def set_response(self, head: bytes, content: bytes = b"") -> None:
        """Set the whole answer; `send` sends it."""
        if self._interim:
            head = self._interim + head
        if len(content) > MAX_JOINED:
            self._response, self._content = head, content
        else:
            self._response = head + content

    def set_file_response(self, head: bytes, fd: int, offset: int, count: int) -> None:
        """Set an answer of `head` and `count` octets of the open file `fd`, which the connection closes."""
        outbox = self._write_buffer = WriteBuffer()
        outbox.append(self._interim + head)
        outbox.append_file(fd, offset, count)

    def stream_response(self) -> StreamedResponse:
        """Begin an answer that is sent while it is made."""
        self.streamed_response = StreamedResponse(self)
        self._write_buffer = self.streamed_response.write_buffer
        self._write_buffer.append(self._interim)
        self.move(STREAMING)
        return self.streamed_response

    def send(self) -> None:
        """Send the answer as far as the socket takes it; finish it, or arm for the rest."""
        try:
            if self._write_buffer is None:
                answer, content = self._response, self._content
                try:
                    sent = self.sock.sendmsg([answer, content]) if content else self.sock.send(answer)
                except BlockingIOError:
                    sent = 0
                self.sent_octets += sent
                if sent == len(answer) + len(content):
                    self._sent()
                    return
                self._write_buffer = WriteBuffer()
                if sent < len(answer):
                    self._write_buffer.append(memoryview(answer + content)[sent:])
                else:
                    self._write_buffer.append(memoryview(content)[sent - len(answer) :])
            self.sent_octets += self._write_buffer.flush(self.sock)
            if not self._write_buffer.octets:
                self._sent()
                return
        except OSError as error:
            log.debug("sending to %s failed: %s", self.peer, error)
            self.abort()
            return
        if self.state is not SENDING:
            self.move(SENDING)
        self.deadline = monotonic() + self.config.send_timeout
        self.arm_for_output()

    def _sent(self) -> None:
        """The answer is out: go on to the next request, or close."""
        on_sent = self.on_sent
        if on_sent is not None:
            self.on_sent = None
            on_sent(self, True)
        self._response = self._content = self._interim = b""
        self.exchange = None
        if self._write_buffer is not None:
            self._write_buffer.close()
            self._write_buffer = self.streamed_response = None
        receiver = self.request_reader
        if self.keeps_alive:  # as the answer said, even if draining began meanwhile: the next one tells
            receiver.reset()
            self.move(IDLE)
            self.deadline = monotonic() + self.config.idle_timeout
            if receiver.buffer:
                self._is_again = True
                self.config.again(self)
            elif self._to_arm:
                self._to_arm -= 1
                self._arm(self.fd, READABLE)
            elif self.config.queued:
                self.config.again(self)  # by the time it is its turn a busy peer has sent the next one
            else:
                self._arm(self.fd, READABLE)
        elif self.is_refused or receiver.buffer or (receiver.head is not None and receiver.head.is_persistent):
            self._linger()
        elif not isinstance(self.sock, socket.socket):
            self._linger()  # RFC 9112 section 9.8: an end without close_notify is a cut
        else:
            self.close()  # the peer asked for it, so it sends no more

    def _go_on(self) -> bool:
        """An event in a state other than receiving; True when there may be a request to receive now."""
        if self.state is SENDING:
            self._send_or_abort()
        elif self.state is LINGERING:
            self._end_output()
        elif self.state is HANDSHAKE:
            return self._open()
        elif self.streamed_response is not None and self.streamed_response.on_event():
            self._send_or_abort()
        return False

    def _open(self) -> bool:
        handshake = self._handshake
        assert handshake is not None
        try:
            try:
                handshake.advance()
            finally:
                self.sock = handshake.sock  # first: whoever is woken, and whoever closes, takes this one
        except BlockingIOError:
            self._arm(self.fd, WRITABLE if handshake.wants_output else READABLE)
            return False
        except (OSError, ProtocolError) as error:
            log.debug("%s did not open: %s", self.peer, error)
            self.close()
            return False
        self._handshake = None
        self.deadline = monotonic() + self.config.idle_timeout
        self.move(IDLE)
        self.config.on_open(self, handshake)
        return True

    def _send_or_abort(self) -> None:
        if monotonic() >= self.deadline:
            log.debug("%s did not take its answer in time", self.peer)
            self.abort()
        else:
            self.send()

    # Closing

    def _linger(self) -> None:
        """Close so that the peer can still read the answer: a close with input unread would reset it away."""
        self.move(LINGERING)
        self.deadline = monotonic() + LINGER_TIMEOUT
        self._end_output()

    def _end_output(self) -> None:
        """Say that no more comes (once: later calls find it said), then drop what the peer still sends."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:  # no room for the close_notify of TLS
            self.deadline = monotonic() + self.config.send_timeout
            self.arm_for_output()
            return
        except OSError:
            self.close()
            return
        self._drop_input()

    def _drop_input(self) -> None:
        try:
            while self._lingered < MAX_LINGER_OCTETS and monotonic() < self.deadline:
                data = self.sock.recv(RECEIVE_OCTETS)
                if not data:
                    break
                self._lingered += len(data)
        except BlockingIOError:
            self._arm(self.fd, READABLE)
            return
        except OSError as error:
            log.debug("%s is gone: %s", self.peer, error)
        self.close()

    def abort(self) -> None:
        """Close at once with a reset: an answer that was cut must not look whole."""
        with contextlib.suppress(OSError):  # not TCP, or gone
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.close()

    def close(self) -> None:
        """Close at once and let go of everything."""
        if self.state is CLOSED:
            return
        self.move(CLOSED)
        self.deadline = inf
        self.config.forget(self, self.exchange is not None and not self.is_refused)
        self._arm = self.config.arm  # no cycle is left to be collected
        self.sock.close()
        if self._write_buffer is not None:
            self._write_buffer.close()
        on_sent = self.on_sent
        if on_sent is not None:
            self.on_sent = None
            on_sent(self, False)
        self.exchange = None
        if self.streamed_response is None:  # otherwise the application may still be reading the request's content
            self.request_reader.reset()
