"""The command line: the one place that knows every part, and puts them together.

The order matters and is told here: settings are read where the command was given; then the directory changes, and
paths are relative to it; variables are set before anything of the application is imported; the master binds; each
worker loads the application after the fork.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from socket import socket
from wsgiref.types import WSGIApplication

from ropewalk import __version__
from ropewalk.config import Loaded, Settings, load_settings
from ropewalk.config.declare import POSITIONAL
from ropewalk.config.flags import PROGRAM
from ropewalk.errors import ConfigError
from ropewalk.net.listen import close_listeners, describe, open_listeners
from ropewalk.observe.access import AccessLog
from ropewalk.observe.log import get_logger, open_log
from ropewalk.process.master import BootError, Master
from ropewalk.process.options import ProcessOptions
from ropewalk.process.pidfile import PidFile
from ropewalk.service import Service
from ropewalk.wsgi.loader import load_application
from ropewalk.wsgi.static import StaticFiles

USAGE_STATUS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 2 for a bad setting, 3 when no worker could boot."""
    try:
        loaded = load_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        if loaded.settings.print_config:
            sys.stdout.writelines(f"{line}\n" for line in loaded.lines())
            return 0
        enter(loaded.settings)
        if loaded.settings.check_config:
            return check(loaded)
        serve(loaded)
    except ConfigError as error:
        return _complain(str(error), USAGE_STATUS)
    except BootError as error:
        if loaded.settings.error_log != "-":
            get_logger().critical("%s", error)
        return _complain(str(error), BootError.status)
    return 0


def enter(settings: Settings) -> None:
    """Make this process the application's: its directory, search path and variables."""
    if settings.chdir:
        try:
            os.chdir(settings.chdir)
        except OSError as error:
            raise ConfigError("--chdir", settings.chdir, f"{error.strerror}".lower()) from None
    # `python -m` has the directory there already, a console script has its own instead.
    for directory in (os.getcwd(), *reversed([os.path.abspath(path) for path in settings.pythonpath])):
        if directory in sys.path:
            sys.path.remove(directory)
        sys.path.insert(0, directory)
    for assignment in settings.env:
        name, _, value = assignment.partition("=")
        os.environ[name] = value
    if not settings.wsgi_app:
        raise ConfigError(POSITIONAL, None, f"is missing; try {PROGRAM} project.wsgi:application")


def check(loaded: Loaded) -> int:
    """Load the application and say how it went."""
    _warn(loaded)
    _check_paths(loaded.settings)
    try:
        make_application(loaded.settings)
    except ConfigError as error:
        if error.__cause__ is not None:
            sys.stderr.writelines(traceback.format_exception(error.__cause__))
        raise
    sys.stdout.write("configuration ok\n")
    return 0


def serve(loaded: Loaded) -> None:
    """Be the master until told to end. Raises ConfigError, BootError; in a worker SystemExit."""
    settings, log, master_pid = loaded.settings, get_logger(), os.getpid()
    log.configure(settings.error_log, settings.log_level)
    _check_paths(settings)
    _warn(loaded)
    log.info("Starting %s %s", PROGRAM, __version__)
    with ExitStack() as at_the_end:
        pid_file = PidFile(settings.pid) if settings.pid else None
        if pid_file is not None:
            at_the_end.callback(pid_file.remove)
        listeners = open_listeners(settings.bind, backlog=settings.backlog)
        at_the_end.callback(close_listeners, listeners)
        for listener in listeners:
            log.info(
                "Listening at: %s (%d)", describe(listener, scheme="https" if settings.certfile else "http"), master_pid
            )
        log.info("Workers: %d, with up to %d threads each", settings.workers, settings.threads)
        options = ProcessOptions(settings.workers, settings.timeout, settings.graceful_timeout)
        try:
            Master(WorkerProgram(settings, listeners, pid_file), options).run()
        except SystemExit:
            at_the_end.pop_all()  # a worker ends here: what the master opened is not its to remove
            raise
    log.info("Shutting down: Master")


@dataclass(slots=True)
class WorkerProgram:
    """What runs in a worker."""

    settings: Settings
    listeners: Sequence[socket]
    pid_file: PidFile | None
    access_log: AccessLog | None = None
    """Made after the fork, since it has a thread."""

    def boot(self) -> Service:
        """Load the application and put a service around it. Raises ConfigError."""
        settings = self.settings
        if self.pid_file is not None:
            self.pid_file.forget()
        if settings.access_log:
            self.access_log = AccessLog(settings.access_log, settings.access_log_format)
        return Service(
            make_application(settings),
            self.listeners,
            settings,
            access_log=self.access_log,
            multiprocess=settings.workers > 1,
        )

    def finish(self) -> None:
        """Write out the access log, and let go of the sockets."""
        close_listeners(self.listeners)
        if self.access_log is not None:
            self.access_log.close()


def make_application(settings: Settings) -> WSGIApplication:
    """The application that the settings name, with the static files in front. Raises ConfigError."""
    application = load_application(settings.wsgi_app)
    mounts = dict(_mounts(settings))
    return StaticFiles(application, mounts) if mounts else application


def _mounts(settings: Settings) -> Iterator[tuple[str, str]]:
    for mount in settings.static:
        prefix, _, directory = mount.partition("=")
        if not os.path.isdir(directory):
            raise ConfigError("--static", mount, f"{os.path.abspath(directory)} is not a directory")
        yield prefix, directory


def _check_paths(settings: Settings) -> None:
    """Raise, before any worker is forked, the ConfigError that each of them would raise."""
    for _ in _mounts(settings):
        pass
    if settings.access_log not in ("", "-"):
        os.close(open_log("--access-logfile", settings.access_log))


def _warn(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        get_logger().warning("%s", warning)


def _complain(line: str, status: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {line}\n")
    return status
