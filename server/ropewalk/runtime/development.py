"""What --reload and --debug add to a server: a watch over files, and pages that show errors. Not loaded in production.

Made in the master, which never loads the application; each worker has a copy by its fork, and watches in a thread.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ropewalk.config.settings import Settings
from ropewalk.config.table import POSITIONAL
from ropewalk.debugging.middleware import HAS_WAITED, Debugger
from ropewalk.debugging.origin import Guard
from ropewalk.errors import ConfigError
from ropewalk.logs.access_record import AccessRecord, AccessWriter
from ropewalk.logs.error_log import get_logger
from ropewalk.process.ipc.reports import FilesChanged
from ropewalk.reloading.imported import record_imports
from ropewalk.reloading.watcher import Watcher
from ropewalk.runtime.draining import IDLE_GRACE, Drained, drain
from ropewalk.runtime.service import Service

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

GRACEFUL_TIMEOUT = 2.0
"""Seconds for requests that run when a file changes: a stream that is open in a browser would never end by itself."""

STOP_SECONDS = 2.0  # for the thread that watches, which looks at its event many times in a second
MAX_PATHS = 8
MAX_PATH = 256
"""Of a report, which is written by one system call while other threads write others (`PIPE_BUF`)."""


def check_development(settings: Settings) -> None:
    """Raise ConfigError for what does not go together with --reload or --debug."""
    if settings.debug and settings.workers > 1:
        raise ConfigError(
            "--debug", "on", f"needs one worker, and --workers is {settings.workers}: it is for development"
        )
    if settings.reload and settings.preload:
        raise ConfigError("--reload", "on", "loads the application in each new worker: leave out --preload")
    if settings.reload and settings.reload_engine == "inotify":
        from ropewalk.reloading.events import is_available

        if not is_available():
            raise ConfigError("--reload-engine", "inotify", "needs the package watchfiles: pip install watchfiles")


class Development:
    """Implements `process.development.Development`, and what a worker's spec needs."""

    def __init__(self, settings: Settings) -> None:
        if settings.debug:
            audience = "everybody" if "*" in settings.debug_allow_ips else ", ".join(settings.debug_allow_ips)
            get_logger().warning("--debug is on: pages show the inside of the application to %s", audience)
        self._settings = settings
        self._failure = ""
        """Why the last worker could not boot; the next one shows it. Set in the master."""
        self.shows_failure = False
        """Set in a worker."""
        self._engine = settings.reload_engine
        self._stop = threading.Event()
        self._is_ending = threading.Event()
        """The worker ends: a page that waits for another one is to ask again."""
        self._watcher: Watcher | None = None
        self._thread: threading.Thread | None = None

    @property
    def graceful_timeout(self) -> float:
        return min(self._settings.graceful_timeout, GRACEFUL_TIMEOUT)

    # In the master

    def stand_in(self, reason: str) -> bool:
        """Have the next worker show the reason; False if the last one did just that."""
        is_new = not self._failure
        self._failure = reason
        return is_new

    def changed(self, report: FilesChanged) -> None:
        """The next worker loads the application."""
        self._failure = ""
        if report.are_events_missed:
            self._engine = "poll"
        names = ", ".join(_shown(path) for path in report.paths)
        get_logger().info("Changed: %s; restarting", names)

    # In a worker

    def start_watching(self, report: Callable[[FilesChanged], object]) -> None:
        """Watch, in a thread, what is imported from now on."""
        settings = self._settings
        record_imports()
        extra = [*settings.reload_extra_files, *filter(None, [settings.config])]
        self._watcher = Watcher(
            extra=extra,
            ignore=settings.reload_ignore,
            roots=[".", *settings.pythonpath],
            engine=self._engine,
            report=lambda line: get_logger().info("%s", line),
        )
        self._watcher.note_extra()
        self._thread = threading.Thread(
            target=self._watch, args=(self._watcher, report), name="ropewalk-reload", daemon=True
        )
        self._thread.start()

    def _watch(self, watcher: Watcher, report: Callable[[FilesChanged], object]) -> None:
        was_polling = watcher.is_polling
        while not self._stop.is_set():
            try:
                paths = watcher.wait(self._stop)
            except Exception:  # noqa: BLE001 - a developer would wait in vain for the next change
                get_logger().exception("Internal error of --reload")
                self._stop.wait(1.0)
                continue
            if paths:
                shown = [path[-MAX_PATH:] for path in paths[:MAX_PATHS]]
                report(FilesChanged(shown, watcher.is_polling and not was_polling))
        watcher.close()

    def stop_watching(self) -> None:
        """End the thread: one that is inside watchfiles must not meet the end of the interpreter."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def load(self, make: Callable[[], WSGIApplication], generation: str) -> WSGIApplication:
        """The application that `make` loads, with pages for its errors; with --reload also one for what `make` raises.

        `generation` is greater after each restart: a page of an earlier one loads itself again.
        Raises ConfigError without --reload.
        """
        settings = self._settings
        guard = Guard(settings.debug_allow_ips, settings.debug_hosts, is_proxy_allowed=settings.debug_proxied)
        is_ending = self._is_ending if settings.reload else None
        debugger = Debugger(guard, is_ending, shows_locals=settings.debug, generation=generation)
        if settings.debug:
            os.environ.setdefault("FLASK_DEBUG", "1")  # Flask then passes exceptions on
        try:
            if self._failure:
                raise ConfigError(POSITIONAL, settings.wsgi_app, self._failure)
            application = make()
        except (Exception, SystemExit) as error:
            if not settings.reload:
                raise
            self.shows_failure = True
            if not self._failure:
                _log_failure(error)
            if self._watcher is not None:
                self._watcher.watch_sources()
            return debugger.answering(debugger.showing(error))
        return debugger.answering(debugger.watching(application) if settings.debug else application)

    def service(self, *arguments: Any, access_log: AccessWriter | None = None, **keywords: Any) -> Service:
        """A service that does not keep a request from the worker that has the new code."""
        if access_log is not None:
            access_log = _WithoutPages(access_log)
        service = _Service(*arguments, access_log=access_log, **keywords)
        service.is_ending = self._is_ending
        return service


class _WithoutPages:
    """An access log without the requests of pages that wait, which the application does not see either."""

    def __init__(self, log: AccessWriter) -> None:
        self._log = log

    @property
    def lost(self) -> int:
        return self._log.lost

    def write(self, record: AccessRecord) -> None:
        if HAS_WAITED not in record.environ:
            self._log.write(record)


class _Service(Service):
    is_ending: threading.Event

    def drain(self, deadline: float, idle_grace: float = 0.0) -> Drained:
        """At once where a connection is kept open: its next request is for the new code."""
        self.is_ending.set()
        return drain(self._pool, self._config, self._acceptors, self._connections, deadline, 0.0, IDLE_GRACE)

    def close(self) -> None:
        self.is_ending.set()
        super().close()


def _log_failure(error: BaseException) -> None:
    """Log why the application cannot be loaded."""
    log = get_logger()
    cause = error.__cause__ if isinstance(error, ConfigError) else error
    if cause is not None:
        log.text("".join(traceback.format_exception(cause)))
    if isinstance(error, ConfigError):
        why = error.allowed if error.setting == POSITIONAL else str(error)
    else:
        why = f"{type(error).__name__}: {error}"
    log.error("The application cannot be loaded: %s", why)


def _shown(path: str) -> str:
    directory = os.getcwd() + os.sep
    return path.removeprefix(directory)
