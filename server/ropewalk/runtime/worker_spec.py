"""What a worker runs: the application in a service, as the settings say, which a reload reads again.

The master holds it, as a `process.worker.worker.Program`. `boot` and `close` run in the worker.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from socket import socket
from typing import TYPE_CHECKING, TextIO, cast

from ropewalk import forked
from ropewalk.config.load import Loaded
from ropewalk.config.settings import Settings, all_settings
from ropewalk.config.table import POSITIONAL
from ropewalk.control.commands import CONTROL
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger, open_log
from ropewalk.logs.names import Names
from ropewalk.logs.wsgi_errors import WsgiErrors
from ropewalk.monkey_patches import refuse_monkey_patches
from ropewalk.net.listeners.open import Listeners, close_listeners, disown_listeners, refuse_new_connections
from ropewalk.net.listeners.unix import UnixListener
from ropewalk.process.lifecycle import Hooks
from ropewalk.process.options import ProcessOptions
from ropewalk.process.system.directory import Directory, is_removed
from ropewalk.process.system.pidfile import PidFile
from ropewalk.process.system.privileges import Identity
from ropewalk.process.worker.recycling import RecyclingLimits
from ropewalk.runtime.descriptors import raise_limit
from ropewalk.runtime.environment import prepare
from ropewalk.runtime.factories import static_mounts, tls_context, with_static_files
from ropewalk.runtime.service import Service
from ropewalk.wsgi.loader import load_application
from ropewalk.wsgi.timeouts import RequestTimeouts

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.gunicorn_hooks.lifecycle import ConfiguredHooks
    from ropewalk.logs.access_log import AccessLog
    from ropewalk.net.accept_balance import SharedCounts
    from ropewalk.net.tls import TlsContext
    from ropewalk.runtime.development import Development

HEARTBEAT_GRACE = 5.0
"""Seconds after the longest timeout, in which a worker can itself log and interrupt what runs too long."""


class WorkerSpec:
    """Makes the service of a worker, and knows what the master shares with its workers."""

    access_log: AccessLog | None = None
    """Opened after the fork, since it has a thread."""

    shared_counts: SharedCounts | None = None
    """Made by the master: the connections of each worker, which all workers can read."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Loaded],
        directory: Directory,
        listeners: Sequence[socket],
        pid_file: PidFile | None,
        identity: Identity,
        watchdog: float,
        tls: TlsContext | None,
        hooks: ConfiguredHooks | None,
        sockets: Listeners,
        preloaded: WSGIApplication | None,
        development: Development | None = None,
    ) -> None:
        """`tls` is made by the master, which can read keys that workers may not read; they share its ticket keys."""
        self.settings = settings
        self.load = load
        self.directory = directory
        """That of the application."""
        self.listeners = listeners
        self.pid_file = pid_file
        self.identity = identity
        self.watchdog = watchdog
        self.tls = tls
        self.hooks = hooks
        self.sockets = sockets
        """All listening sockets of the master, by their purpose."""
        self.preloaded = preloaded
        """The application, if the master has loaded it."""
        self.development = development
        """With --reload or --debug."""
        self.generation = str(time.time_ns())
        """Of the workers: each reload, and each start of the server, also after a boot, has a greater one."""

    def options(self) -> ProcessOptions:
        """The settings of the process layer."""
        settings = self.settings
        limits = RequestTimeouts(settings.timeout, settings.timeout_for, settings.stream_timeout)
        development = self.development if settings.reload else None
        return ProcessOptions(
            workers=settings.workers,
            timeout=limits.shortest,
            graceful_timeout=settings.graceful_timeout if development is None else development.graceful_timeout,
            drain_delay=settings.drain_delay,
            watchdog=self.watchdog,
            heartbeat_timeout=limits.longest + HEARTBEAT_GRACE if limits.longest else 0.0,
            hooks=self.hooks or Hooks(),
            development=development,
            max_workers=1 if settings.debug else sys.maxsize,
            recycling=RecyclingLimits(settings.max_requests, settings.max_requests_jitter, settings.max_rss),
        )

    def boot(self) -> Service:
        """Load the application and make a service of it. Raises ConfigError."""
        settings = self.settings
        if self.pid_file is not None:
            self.pid_file.close_in_child()
        forked.on_fork(partial(close_listeners, self.listeners))
        self._enter_directory()
        self.identity.apply()
        prepare(settings)
        log = get_logger()
        log.reset_counts()
        raise_limit(settings.limit_connections)
        if settings.access_log:
            from ropewalk.logs.access_log import AccessLog

            self.access_log = AccessLog(
                settings.access_log, settings.access_log_format, Names(settings.node_name, settings.replica_name)
            )
        connect_loggers(settings, self.access_log)
        make = partial(make_application, settings, self.preloaded)
        application = make() if self.development is None else self.development.load(make, self.generation)
        connect_named_loggers(settings, self.access_log)
        warn_of_late_script_name(settings)
        make_service = Service if self.development is None else self.development.service
        return make_service(
            application,
            self.listeners,
            settings,
            access_log=self.access_log,
            multiprocess=settings.workers > 1,
            errors=cast("TextIO", WsgiErrors(log)),
            tls=self.tls,
            hooks=None if self.hooks is None else self.hooks.request_hooks(),
            shared_counts=self.shared_counts,
        )

    def reload(self) -> tuple[WorkerSpec, ProcessOptions]:
        """Read the settings again and make a spec of them; log changes that need a restart. Raises ConfigError."""
        loaded = self.load()
        warn(loaded)
        if self.preloaded is not None:
            get_logger().warning("--preload: a reload keeps the code of the application; USR2 loads it again")
        lasting = {
            setting.name: getattr(self.settings, setting.name)
            for setting in all_settings()
            if setting.declaration.needs_restart
        }
        changed = [name for name, value in lasting.items() if getattr(loaded.settings, name) != value]
        if changed:
            get_logger().warning("these changes need a restart: %s", ", ".join(changed))
        if self.preloaded is not None:
            lasting["wsgi_app"] = self.settings.wsgi_app
        settings = loaded.settings.changed(**lasting)
        self._enter_directory()
        hooks = make_hooks(loaded, settings, self.hooks)
        program = WorkerSpec(
            settings,
            self.load,
            self.directory,
            self.listeners,
            self.pid_file,
            self.identity,
            self.watchdog,
            tls=None,
            hooks=hooks,
            sockets=self.sockets,
            preloaded=self.preloaded,
            development=self.development,
        )
        create_logs(program.settings, self.identity)
        get_logger().relocate(settings.error_log)
        check_paths(program.settings, self.identity)
        import_optional_modules(settings)
        program.tls = make_tls_context(settings, program.hooks)
        program.shared_counts = self.shared_counts
        return program, program.options()

    def _enter_directory(self) -> None:
        """Enter the application's directory by its path, which may lead to a new release. Raises ConfigError.

        An application that the master has loaded stays in the directory that it was loaded from: what it imports later
        must be of the same release.
        """
        if self.preloaded is None or is_removed():
            self.directory.enter()

    def reopen_logs(self) -> None:
        """Open the log files again by their names. Raises ConfigError."""
        create_logs(self.settings, self.identity)
        get_logger().reopen()
        if self.access_log is not None:
            self.access_log.reopen()

    def inheritable_fds(self) -> dict[str, list[int]]:
        """The descriptors of the listening sockets that a new master inherits."""
        return {
            name: [listener.fileno() for listener in listeners]
            for name, listeners in self.sockets.items()
            if name != CONTROL
        }

    def refuse_new_connections(self) -> bool:
        """Refuse new connections; True if some whose handshake has begun may still arrive."""
        return refuse_new_connections(self.listeners)

    def release_listeners(self, *, is_shared: bool) -> None:
        """Close the listening sockets, in the master. `is_shared`: another master listens on them too."""
        if is_shared:
            disown_listeners(self.listeners)
        close_listeners(self.listeners)

    def take_over_files(self) -> None:
        """Take over the names of the old master's files, or log why that is impossible."""
        try:
            if self.pid_file is not None:
                self.pid_file.move(self.settings.pid)
            for listener in self.sockets.get(CONTROL, ()):
                if isinstance(listener, UnixListener):
                    listener.move(self.settings.control_socket)
        except (ConfigError, OSError) as error:
            get_logger().warning("Cannot take over a file of the old master: %s", error)

    def close(self) -> None:
        """Write out the access log and close the sockets, in a worker that is about to exit."""
        if self.development is not None:
            self.development.stop_watching()
        close_listeners(self.listeners)
        if self.access_log is not None:
            self.access_log.close()


def import_optional_modules(settings: Settings) -> None:
    """Import, in the master, the modules that the workers need with these settings only.

    The workers then share their memory, and have them even if their user may not read the interpreter's libraries.
    """
    if settings.access_log:
        import ropewalk.runtime.access_logging
    if settings.static:
        import ropewalk.wsgi.static.app
    if settings.certfile or settings.proxy_protocol != "off":
        import ropewalk.net.handshake  # noqa: F401 - OpenSSL, 4 MB


def create_logs(settings: Settings, identity: Identity) -> None:
    """Create the log files that are missing, for the user of the workers, which append to them."""
    for path in (settings.error_log, settings.access_log):
        if path not in ("", "-"):
            identity.create_file(path)


def make_hooks(loaded: Loaded, settings: Settings, before: ConfiguredHooks | None = None) -> ConfiguredHooks | None:
    """The hooks of the configuration file; None if it has none, and had none before it was read again."""
    if before is not None:
        return before.renewed(loaded.hooks, settings)
    if not loaded.hooks:
        return None
    from ropewalk.gunicorn_hooks.lifecycle import ConfiguredHooks  # few servers have hooks

    return ConfiguredHooks(loaded.hooks, settings)


def make_development(settings: Settings) -> Development | None:
    """What --reload and --debug add; None without them."""
    if not (settings.reload or settings.debug):
        return None
    from ropewalk.runtime.development import Development  # not in production

    return Development(settings)


def make_tls_context(settings: Settings, hooks: ConfiguredHooks | None) -> TlsContext | None:
    """The TLS context, which a hook may change; None without certificates. Raises ConfigError."""
    return tls_context(settings, None if hooks is None else hooks.make_ssl_context)


def make_application(settings: Settings, preloaded: WSGIApplication | None = None) -> WSGIApplication:
    """The application of the settings, with static files in front. Raises ConfigError."""
    application = preloaded or load_application(settings.wsgi_app)
    refuse_monkey_patches(POSITIONAL, settings.wsgi_app)
    return with_static_files(application, settings)


def connect_loggers(settings: Settings, access_log: AccessLog | None = None) -> None:
    """With a configuration file in Python, connect gunicorn's loggers before its hooks and the application run."""
    if settings.config.endswith(".py"):
        from ropewalk.gunicorn_hooks.loggers import connect  # imports logging, which the server does without

        connect(settings.log_level, access_log)


def connect_named_loggers(settings: Settings, access_log: AccessLog | None) -> None:
    """Connect those of gunicorn's loggers that the application uses, and warn about what has no effect on them."""
    if "logging" in sys.modules:
        from ropewalk.gunicorn_hooks.loggers import connect_named, without_effect

        connect_named(settings.log_level, access_log)
        for what in without_effect():
            get_logger().warning("%s of the logger gunicorn.access have no effect on the lines of requests", what)


def warn_of_late_script_name(settings: Settings) -> None:
    """Warn if the configuration file or the application has set SCRIPT_NAME, which gunicorn reads at each request."""
    value = os.environ.get("SCRIPT_NAME")
    if value and not settings.script_name and value != "/":
        get_logger().warning(
            "SCRIPT_NAME=%r, set by the configuration file or the application, has no effect: use --script-name", value
        )


def check_paths(settings: Settings, identity: Identity) -> None:
    """Raise the ConfigError that each worker would raise, before any is forked."""
    for _ in static_mounts(settings):
        pass
    if settings.reload or settings.debug:
        from ropewalk.runtime.development import check_development

        check_development(settings)
    if settings.access_log not in ("", "-"):
        os.close(open_log("--access-logfile", settings.access_log, identity.trusted_owners))


def warn(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        get_logger().warning("%s", warning)
