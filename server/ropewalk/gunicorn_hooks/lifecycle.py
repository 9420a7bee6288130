"""Calls the hooks of a configuration file, and handles the exceptions that they raise.

If a hook raises, the exception is logged with the traceback of the hook's code, and the server continues. Four hooks
are different, since the server would otherwise run with half of its set-up: `on_starting` and `when_ready` end the
start, and `post_fork` and `post_worker_init` make the boot of the worker fail, as an application that cannot be loaded
does.
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
from ropewalk.gunicorn_hooks.invoke import call_hook, describe
from ropewalk.gunicorn_hooks.requests import RequestHooks
from ropewalk.logs.error_log import get_logger
from ropewalk.process.lifecycle import Hooks
from ropewalk.process.master.master import BootError


class ConfiguredHooks(Hooks):
    """The hooks of a configuration file that was read once; `server` is kept when the file is read again."""

    def __init__(self, functions: Mapping[str, Hook], settings: Settings, server: Server | None = None) -> None:
        self._functions = functions
        self._cfg = Config(settings)
        self.server = server or Server(self._cfg)
        self.worker = Worker(0, self._cfg)
        """The worker that is forked next; in a worker's process, that worker."""

    def renewed(self, functions: Mapping[str, Hook], settings: Settings) -> ConfiguredHooks:
        """The hooks of the file when it is read again."""
        return ConfiguredHooks(functions, settings, self.server)

    # In the master

    def starting(self) -> None:
        """Before the listening sockets are opened. Raises BootError."""
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
        server.cfg = self._cfg  # a reload may have failed in the meantime
        server.worker_age += 1
        self.worker = Worker(server.worker_age, self._cfg)
        self._call("pre_fork", server, self.worker)

    def forked(self, pid: int) -> None:
        self.worker.pid = pid
        self.server.WORKERS[pid] = self.worker

    def worker_exited(self, pid: int) -> None:
        worker = self.server.WORKERS.pop(pid, None)
        if worker is not None:
            worker.alive = False
            self._call("child_exit", self.server, worker)

    def before_exec(self) -> None:
        self._call("pre_exec", self.server)

    def exiting(self) -> None:
        self._call("on_exit", self.server)

    # In a worker

    def worker_started(self) -> None:
        self.worker.pid = os.getpid()
        self._call_or_raise("post_fork", self.server, self.worker)

    def worker_booted(self) -> None:
        self._call_or_raise("post_worker_init", self.worker)
        self.worker.booted = True

    def worker_interrupted(self) -> None:
        self.worker.alive = False
        self._call("worker_int", self.worker)

    def request_timed_out(self) -> None:
        self._call("worker_abort", self.worker)

    def worker_exiting(self) -> None:
        self.worker.alive = False
        self._call("worker_exit", self.server, self.worker)

    # For the parts of a worker

    def request_hooks(self) -> RequestHooks | None:
        """The hooks that are called for each request; None if there are none, so that a request costs nothing more."""
        pre, post = self._functions.get("pre_request"), self._functions.get("post_request")
        return RequestHooks(self.worker, pre, post) if pre or post else None

    def make_ssl_context(self, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """The TLS context, which `make` returns and the hook may change. Raises ConfigError."""
        hook = self._functions.get("ssl_context")
        if hook is None:
            return make()
        context, error = call_hook(hook, self._cfg, make)
        if isinstance(error, ConfigError):
            raise error  # from `make`, of a certificate
        if error is not None:
            get_logger().text(_traceback(error))
            raise ConfigError("ssl_context", None, describe(error))
        if not isinstance(context, ssl.SSLContext):
            raise ConfigError("ssl_context", None, "must return an ssl.SSLContext")
        return context

    def _call(self, name: str, *arguments: object) -> None:
        error = self._call_and_catch(name, *arguments)
        if error is not None:
            get_logger().error("%s: %s", name, describe(error), exc_info=error)

    def _call_or_raise(self, name: str, *arguments: object) -> None:
        """Raises ConfigError, whose cause is the exception of the hook."""
        error = self._call_and_catch(name, *arguments)
        if error is not None:
            raise ConfigError(name, None, describe(error)) from error

    def _call_or_end(self, name: str, *arguments: object) -> None:
        """Raises BootError; the traceback is logged."""
        error = self._call_and_catch(name, *arguments)
        if error is not None:
            get_logger().text(_traceback(error))
            raise BootError(f"{name}: {describe(error)}")

    def _call_and_catch(self, name: str, *arguments: object) -> BaseException | None:
        hook = self._functions.get(name)
        return None if hook is None else call_hook(hook, *arguments)[1]


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
