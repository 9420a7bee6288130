"""The command line: the one place that knows every part, and puts them together.

The order matters and is told here: settings are read where the command was given; then the directory changes, and
paths are relative to it; variables are set before anything of the application is imported; the master binds; each
worker loads the application after the fork.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, chdir
from typing import TYPE_CHECKING

from ropewalk._version import __version__
from ropewalk.cli.bind import listen
from ropewalk.cli.control_setup import open_control
from ropewalk.cli.stdio import fill_standard_streams, print_error, say
from ropewalk.config.flags import COMMANDS, PROGRAM
from ropewalk.config.load import Loaded, load_settings
from ropewalk.config.settings import Settings
from ropewalk.config.table import POSITIONAL
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.net.accept_balance import open_shared_counts
from ropewalk.net.listeners.open import (
    adopt_listeners,
    close_listeners,
    disown_listeners,
)
from ropewalk.net.listeners.unix import UnixListener
from ropewalk.process.master.master import BootError, Master
from ropewalk.process.master.upgrade import Command, Predecessor, Upgrade, second_name
from ropewalk.process.system.pidfile import PidFile
from ropewalk.process.system.privileges import find_identity
from ropewalk.process.system.sd_notify import Notifier
from ropewalk.process.worker.worker import explain
from ropewalk.runtime.environment import prepare
from ropewalk.runtime.worker_spec import (
    WorkerSpec,
    check_paths,
    create_logs,
    import_what_is_asked_for,
    make_application,
    make_hooks,
    make_tls_context,
    warn,
)
from ropewalk.threads.parallelism import parallel_threads
from ropewalk.wsgi.loader import load_application

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


USAGE_STATUS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 2 for a bad setting, 3 when no worker could boot."""
    fill_standard_streams()
    succession = Upgrade(None, Predecessor.take(os.environ))
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if given and given[0] in COMMANDS:
            from ropewalk.cli.control_client import (
                operate,  # a client, with an HTTP client in it: a server needs neither
            )

            return operate(given[0], given[1:])
        succession.command = _command()
        load = _loader(given, succession.command)
        loaded = load()
        if loaded.settings.print_config:
            _say("".join(f"{line}\n" for line in loaded.lines()))
            return 0
        enter(loaded.settings)
        if loaded.settings.check_config:
            return check(loaded)
        serve(loaded, load, succession)
    except ConfigError as error:
        succession.tell_failure(str(error))
        return _complain(str(error), USAGE_STATUS)
    except BootError as error:
        succession.tell_failure(str(error))
        return _complain(str(error), BootError.status, is_logged=True)
    return 0


def _say(text: str) -> None:
    try:
        say(text)
    except OSError as error:
        raise ConfigError("standard output", None, f"cannot be written: {error.strerror}") from None


def _command() -> Command:
    """How this process was started."""
    try:
        return Command(os.getcwd(), dict(os.environ))
    except OSError as error:
        raise ConfigError("the current directory", None, f"{error.strerror}".lower()) from None


def _loader(arguments: Sequence[str], start: Command) -> Callable[[], Loaded]:
    """What reads the settings, now and at each reload: from the directory and with the variables of the start."""

    def load() -> Loaded:
        try:
            with chdir(start.directory):
                return load_settings(arguments, start.environ)
        except OSError as error:
            raise ConfigError("the directory of the start", start.directory, f"{error.strerror}".lower()) from None

    return load


def enter(settings: Settings) -> None:
    """Make this process the application's: its directory, search path and variables."""
    if settings.chdir:
        try:
            os.chdir(settings.chdir)
        except OSError as error:
            raise ConfigError("--chdir", settings.chdir, f"{error.strerror}".lower()) from None
    prepare(settings)
    if not settings.wsgi_app:
        raise ConfigError(POSITIONAL, None, f"is missing; try {PROGRAM} project.wsgi:application")


def check(loaded: Loaded) -> int:
    """Load the application and say how it went."""
    warn(loaded)
    check_paths(loaded.settings, find_identity(loaded.settings.user, loaded.settings.group))
    hooks = make_hooks(loaded, loaded.settings)
    make_tls_context(loaded.settings, hooks)
    try:
        make_application(loaded.settings)
    except ConfigError as error:
        if error.__cause__ is not None:
            sys.stderr.writelines(traceback.format_exception(error.__cause__))
        raise
    _say("configuration ok\n")
    return 0


def serve(loaded: Loaded, load: Callable[[], Loaded], succession: Upgrade) -> None:
    """Be the master until told to end. Raises ConfigError, BootError; in a worker SystemExit."""
    settings, log = loaded.settings, get_logger()
    identity = find_identity(settings.user, settings.group)
    if settings.umask is not None:
        os.umask(settings.umask)
    notifier = Notifier.take(os.environ)
    predecessor = succession.predecessor
    if predecessor is not None:
        notifier.wait()
    create_logs(settings, identity)
    log.configure(settings.error_log, settings.log_level, settings.error_log_format, identity.trusted_owners)
    check_paths(settings, identity)
    hooks = make_hooks(loaded, settings)
    tls = make_tls_context(settings, hooks)
    warn(loaded)
    log.info("Starting %s %s", PROGRAM, __version__)
    import_what_is_asked_for(settings)
    if hooks is not None:
        hooks.starting()
    with ExitStack() as at_the_end:
        earlier = adopt_listeners(predecessor.listeners) if predecessor is not None else {}
        pid_path = second_name(settings.pid) if settings.pid and predecessor is not None else settings.pid
        pid_file = PidFile(pid_path, identity.trusted_owners) if pid_path else None
        if pid_file is not None:
            at_the_end.callback(pid_file.remove)
        opened = listen(loaded, earlier)
        listeners = [listener for each in opened.values() for listener in each]
        at_the_end.callback(close_listeners, listeners)
        for listener in listeners:
            if isinstance(listener, UnixListener):
                identity.own_socket(listener.path)
        office, desk_listeners = open_control(settings, earlier, is_second=predecessor is not None)
        at_the_end.callback(close_listeners, [listener for each in desk_listeners.values() for listener in each])
        at_the_end.callback(lambda: disown_listeners(listeners) if succession.is_shared else None)
        for unused in earlier.values():
            disown_listeners(unused)
            close_listeners(unused)
        preloaded = preload(settings) if settings.preload else None
        log.info("Workers: %d, with up to %d threads each", settings.workers, settings.threads)
        watchdog, sockets = notifier.watchdog_seconds, {**opened, **desk_listeners}
        program = WorkerSpec(settings, load, listeners, pid_file, identity, watchdog, tls, hooks, sockets, preloaded)
        shared_counts = program.shared_counts = open_shared_counts()
        if shared_counts is not None:
            at_the_end.callback(shared_counts.close)
        try:
            Master(program, program.options(), notifier, office, succession).run()
        except SystemExit:
            at_the_end.pop_all()  # a worker ends here: what the master opened is not its to remove
            raise
    log.info("Shutting down: Master")


def preload(settings: Settings) -> WSGIApplication:
    """Load the application in the master, to be shared by the workers. Raises BootError."""
    log, before = get_logger(), threading.active_count()
    try:
        application = load_application(settings.wsgi_app)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's code raises is told
        reason, details = explain(error)
        log.text(details)
        raise BootError(reason) from None
    started = threading.active_count() - before
    if started > 0:
        log.warning("--preload: the application has started %d threads, and no worker will have them", started)
    if parallel_threads() > 1:
        from ropewalk.threads.free_threading import share_keys

        share_keys()  # now, since a worker is not to write to what it inherits
    # What is left is there to stay. A collection writes to all that it looks at, and what is written to is copied.
    gc.collect()
    gc.freeze()
    return application


def _complain(line: str, status: int, *, is_logged: bool = False) -> int:
    """Say why the start failed: to the operator, unless the log says it there in JSON; `is_logged`: to the log too."""
    log = get_logger()
    is_json_alone = log.is_json and log.is_standard_error
    if is_json_alone or (is_logged and not log.is_standard_error):
        log.critical("%s", line)
    if not is_json_alone:
        print_error(f"{PROGRAM}: {line}")
    return status
