"""The hooks of a configuration file, called at their moments, and what becomes of what they raise.

A hook that raises is logged, with the traceback of its own code, and the server goes on. Four are different, since what
follows them would serve half set up: `on_starting` and `when_ready` end the start, `post_fork` and `post_worker_init`
let the worker fail to boot as an application does that cannot be loaded.
"""

from __future__ import annotations

import os
import ssl
import traceback
from collections.abc import Callable, Mapping

from ropewalk.config.hook_signatures import Hook
from ropewalk.config.settings import Settings
from ropewalk.errors import ConfigError
from ropewalk.gunicorn_hooks.api import Config, Server, Worker
from ropewalk.gunicorn_hooks.invoke import attempt, told
from ropewalk.gunicorn_hooks.requests import RequestHooks
from ropewalk.logs.error_log import get_logger
from ropewalk.process.lifecycle import Hooks
from ropewalk.process.master.master import BootError


class ConfiguredHooks(Hooks):
    """Those of one reading of the file; `server` goes on from one reading to the next."""

    def __init__(self, functions: Mapping[str, Hook], settings: Settings, server: Server | None = None) -> None:
        self._functions = functions
        self._cfg = Config(settings)
        self.server = server or Server(self._cfg)
        self.worker = Worker(0, self._cfg)
        """The one that is forked next; in a worker's process itself."""

    def renewed(self, functions: Mapping[str, Hook], settings: Settings) -> ConfiguredHooks:
        """Those of a file that was read again."""
        return ConfiguredHooks(functions, settings, self.server)

    # In the master

    def starting(self) -> None:
        """Before anything listens. Raises BootError."""
        self._call("nworkers_changed", self.server, self.server.num_workers, None)
        self._call_or_end("on_starting", self.server)

    def ready(self) -> None:
        """Raises BootError."""
        self._call_or_end("when_ready", self.server)

    def reloading(self) -> None:
        self.server.cfg = self._cfg
        self._call("on_reload", self.server)

    def workers_changed(self, new: int, old: int) -> None:
        self.server.num_workers = new
        self._call("nworkers_changed", self.server, new, old)

    def before_fork(self) -> None:
        server = self.server
        server.cfg = self._cfg  # a reload may have been given up meanwhile
        server.worker_age += 1
        self.worker = Worker(server.worker_age, self._cfg)
        self._call("pre_fork", server, self.worker)

    def forked(self, pid: int) -> None:
        self.worker.pid = pid
        self.server.WORKERS[pid] = self.worker

    def gone(self, pid: int) -> None:
        worker = self.server.WORKERS.pop(pid, None)
        if worker is not None:
            worker.alive = False
            self._call("child_exit", self.server, worker)

    def before_exec(self) -> None:
        self._call("pre_exec", self.server)

    def exiting(self) -> None:
        self._call("on_exit", self.server)

    # In a worker

    def in_worker(self) -> None:
        self.worker.pid = os.getpid()
        self._call_or_raise("post_fork", self.server, self.worker)

    def booted(self) -> None:
        self._call_or_raise("post_worker_init", self.worker)
        self.worker.booted = True

    def interrupted(self) -> None:
        self.worker.alive = False
        self._call("worker_int", self.worker)

    def timed_out(self) -> None:
        self._call("worker_abort", self.worker)

    def leaving(self) -> None:
        self.worker.alive = False
        self._call("worker_exit", self.server, self.worker)

    # For the parts of a worker

    def of_requests(self) -> RequestHooks | None:
        """What is called for each request; None if that is nothing, and a request then costs nothing more."""
        pre, post = self._functions.get("pre_request"), self._functions.get("post_request")
        return RequestHooks(self.worker, pre, post) if pre or post else None

    def make_ssl_context(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The context of TLS, which `make` makes and the hook may change. Raises ConfigError."""
        hook = self._functions.get("ssl_context")
        if hook is None:
            return make()
        context, error = attempt(hook, self._cfg, make)
        if isinstance(error, ConfigError):
            raise error  # of a certificate, from within
        if error is not None:
            get_logger().text(_traceback(error))
            raise ConfigError("ssl_context", None, told(error))
        if not isinstance(context, ssl.SSLContext):
            raise ConfigError("ssl_context", None, "must return an ssl.SSLContext")
        return context

    def _call(self, name: str, *arguments: object) -> None:
        error = self._attempt(name, *arguments)
        if error is not None:
            get_logger().error("%s: %s", name, told(error), exc_info=error)

    def _call_or_raise(self, name: str, *arguments: object) -> None:
        """Raises ConfigError, from what the hook raised."""
        error = self._attempt(name, *arguments)
        if error is not None:
            raise ConfigError(name, None, told(error)) from error

    def _call_or_end(self, name: str, *arguments: object) -> None:
        """Raises BootError, with the traceback in the log."""
        error = self._attempt(name, *arguments)
        if error is not None:
            get_logger().text(_traceback(error))
            raise BootError(f"{name}: {told(error)}")

    def _attempt(self, name: str, *arguments: object) -> BaseException | None:
        hook = self._functions.get(name)
        return None if hook is None else attempt(hook, *arguments)[1]


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
