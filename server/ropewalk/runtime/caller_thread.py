"""Has a WSGI application run in the thread that serves, as wsgiref does, while the pool receives and sends.

An application written for wsgiref may rely on its thread: an sqlite3 connection, for example, works in that of its
creation alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ropewalk.interruptions import uninterrupted
from ropewalk.portable import POLLIN, Poll, close_eventfd, eventfd, eventfd_read, eventfd_write
from ropewalk.wsgi.application_errors import no_iterable
from ropewalk.wsgi.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication

END = object()  # of a response


class InterruptedCallError(RuntimeError):
    """Ctrl-C has ended what ran in the other thread, where KeyboardInterrupt is raised; here it is no mistake."""


class CallerThread:
    """Runs what other threads ask for, in the thread that calls `run`."""

    def __init__(self) -> None:
        self._jobs: deque[_Job] = deque()
        self._wake_fd = eventfd()
        self._poll = Poll()
        self._poll.register(self._wake_fd, POLLIN)
        self._lock = threading.Lock()
        self._is_closed = False  # under _lock

    def call(self, function: Callable[[], Any]) -> Any:
        """Have `function` run; wait for what it returns or raises. Raises RuntimeError once the server is closed."""
        job = _Job(function)
        with uninterrupted, self._lock:
            if self._is_closed:
                raise RuntimeError("the server is closed")
            self._jobs.append(job)
            eventfd_write(self._wake_fd, 1)
        job.is_done.acquire()
        if job.error is not None:
            raise job.error
        return job.result

    def wake(self) -> None:
        """Have `run` look at its surroundings: return, so that its caller can."""
        with self._lock:
            if not self._is_closed:
                eventfd_write(self._wake_fd, 1)

    def watch(self, fd: int) -> None:
        """Have `run` return when `fd` can be read, until `unwatch`."""
        self._poll.register(fd, POLLIN)

    def unwatch(self, fd: int) -> None:
        self._poll.unregister(fd)

    def run(self, seconds: float | None) -> list[int]:
        """Wait for at most `seconds` (None: for any time), run what was asked for, and return the watched descriptors
        that can be read. Raises KeyboardInterrupt for Ctrl-C inside the application."""
        milliseconds = None if seconds is None else max(0.0, seconds * 1000)
        ready = [fd for fd, _ in self._poll.poll(milliseconds)]
        if self._wake_fd in ready:
            ready.remove(self._wake_fd)
            eventfd_read(self._wake_fd)
        while self._jobs:
            self._jobs.popleft().run()
        return ready

    def close(self) -> None:
        """Nothing runs any more: a thread that waits gets a RuntimeError."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        for job in self._jobs:
            job.fail(RuntimeError("the server is closed"))
        self._jobs.clear()
        close_eventfd(self._wake_fd)


class _Job:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.is_done = threading.Lock()
        self.is_done.acquire()
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function

    def run(self) -> None:
        try:
            self.result = self._function()
        except KeyboardInterrupt:
            self.error = InterruptedCallError("interrupted")
            raise  # for the program
        except BaseException as error:  # noqa: BLE001 - raised by `call`
            self.error = error
        finally:
            self.is_done.release()

    def fail(self, error: Exception) -> None:
        self.error = error
        self.is_done.release()


def in_caller_thread(application: WSGIApplication, caller: CallerThread) -> WSGIApplication:
    """The application with each of its steps in the caller's thread: the call, each part of the response, the end."""

    def forwarded(environ: dict[str, Any], start_response: StartResponse) -> Any:
        result = caller.call(lambda: application(environ, start_response))
        if isinstance(result, list | tuple | FileWrapper) or no_iterable(type(result)):
            return result  # runs no code of the application's
        return _Response(result, caller)

    return forwarded


class _Response:
    def __init__(self, result: Iterable[bytes], caller: CallerThread) -> None:
        self._result = result
        self._caller = caller
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part = self._caller.call(self._next)
        if part is END:
            raise StopIteration
        return cast("bytes", part)

    def _next(self) -> Any:
        if self._parts is None:
            self._parts = iter(self._result)
        return next(self._parts, END)

    def close(self) -> None:
        if hasattr(self._result, "close"):
            self._caller.call(self._result.close)
