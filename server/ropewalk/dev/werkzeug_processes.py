"""A server whose requests run in other processes, one at a time in each: `processes` of Werkzeug's.

Werkzeug forks for each request. Here the processes last until the server ends, and one that dies is replaced.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from ropewalk.dev.werkzeug_server import FINISH_SECONDS, BaseWSGIServer
from ropewalk.runtime.caller_thread import CallerThread

if TYPE_CHECKING:
    from types import FrameType
    from wsgiref.types import WSGIApplication

    from ropewalk.dev.werkzeug_server import SslContext

ITS_TURN = 0.05
"""Seconds that a process waits for the request of a connection before it takes another: by then a process that is free
has taken that."""


class ForkingWSGIServer(BaseWSGIServer):
    """A server that handles requests in processes. Made by `make_server`."""

    multiprocess = True

    def __init__(
        self,
        host: str,
        port: int,
        app: WSGIApplication,
        processes: int = 40,
        handler: type | None = None,
        passthrough_errors: bool = False,
        ssl_context: SslContext = None,
        fd: int | None = None,
    ) -> None:
        super().__init__(host, port, app, handler, passthrough_errors, ssl_context, fd)
        self.max_children = processes
        self._children: set[int] = set()  # changed by the thread that serves
        self._parent = os.getpid()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Have the processes serve until `shutdown`, which another thread calls, or Ctrl-C; then end them."""
        self._has_ended.clear()
        with suppress(KeyboardInterrupt):
            try:
                while not self._must_end:
                    self._replace_dead(poll_interval)
                    self._caller.run(poll_interval)
            finally:
                self._end_children()
                self._must_end = False
                self._has_ended.set()
                self.server_close()

    def _replace_dead(self, poll_interval: float) -> None:
        self._children -= {pid for pid in self._children if os.waitpid(pid, os.WNOHANG)[0]}
        while len(self._children) < self.max_children:
            # Ctrl-C waits until the process is known: functions that run at a fork would swallow its exception.
            unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            pid = os.fork()
            if not pid:
                self._serve_in_child(poll_interval, unblocked)
            self._children.add(pid)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)

    def _serve_in_child(self, poll_interval: float, unblocked: set[int | signal.Signals]) -> None:
        """Does not return."""
        status = 1
        try:
            self._children = set()
            self._caller = CallerThread()  # its eventfd would be the parent's
            signal.signal(signal.SIGTERM, self._on_end)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            self._serve_each(poll_interval)
            status = 0
        except KeyboardInterrupt:
            status = 0
        except BaseException:  # noqa: BLE001 - the process ends below
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(status)

    def _on_end(self, number: int, frame: FrameType | None) -> None:
        self._must_end = True
        self._caller.wake()

    def _serve_each(self, poll_interval: float) -> None:
        """Accept a connection when the one before has had its turn."""
        service = self._service(keeps_alive=False)
        while not self._must_end and os.getppid() == self._parent:
            self._caller.watch(self.fileno())
            is_ready = bool(self._caller.run(poll_interval))
            self._caller.unwatch(self.fileno())
            if is_ready and self._accept(service):
                until = time.monotonic() + ITS_TURN
                while service.has_connections() and (left := until - time.monotonic()) > 0:
                    self._caller.run(left)
            self.service_actions()
        while service.running():
            self._caller.run(ITS_TURN)

    def _end_children(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + FINISH_SECONDS
        while self._children and time.monotonic() < deadline:
            self._children -= {pid for pid in self._children if os.waitpid(pid, os.WNOHANG)[0]}
            time.sleep(0.005)
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children.clear()
