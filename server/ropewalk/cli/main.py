"""The `ropewalk` command: the composition root, which knows every part and puts them together.

The order matters: the settings are read in the directory where the command was given; then the directory changes, and
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
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ropewalk._version import __version__
from ropewalk.cli.opened import open_everything
from ropewalk.cli.stdio import Terminals, open_closed_streams, print_error, print_out
from ropewalk.config.flags import COMMANDS, PROGRAM
from ropewalk.config.load import Loaded, load_settings
from ropewalk.config.settings import Settings
from ropewalk.config.table import POSITIONAL
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.logs.names import Names
from ropewalk.monkey_patches import refuse_monkey_patches
from ropewalk.net.accept_balance import open_shared_counts
from ropewalk.portable import IS_LINUX_POLLING
from ropewalk.process.master.master import BootError, Master
from ropewalk.process.master.upgrade import Predecessor, StartCommand, Upgrade
from ropewalk.process.system.directory import Directory, start_directory
from ropewalk.process.system.privileges import Identity, find_identity
from ropewalk.process.system.sd_notify import Notifier
from ropewalk.process.worker.worker import explain
from ropewalk.runtime.environment import prepare, use_path_of
from ropewalk.runtime.worker_spec import (
    WorkerSpec,
    check_paths,
    connect_loggers,
    create_logs,
    import_optional_modules,
    make_application,
    make_development,
    make_hooks,
    make_tls_context,
    warn,
)
from ropewalk.threads.parallelism import parallel_threads
from ropewalk.wsgi.loader import load_application

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.gunicorn_hooks.lifecycle import ConfiguredHooks
    from ropewalk.net.tls import TlsContext


USAGE_STATUS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0; 2 for a bad setting; 3 if no worker could boot. Raises KeyboardInterrupt until the master has taken over the
    signals.
    """
    if not IS_LINUX_POLLING:
        print_error("ropewalk: the command needs Linux; on this system a program serves: ropewalk.serve(application)")
        return USAGE_STATUS
    open_closed_streams()
    upgrade = Upgrade(None, Predecessor.from_environ(os.environ))
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if given and given[0] in COMMANDS:
            from ropewalk.cli.control_client import run_command  # which imports an HTTP client: a server needs neither

            return run_command(given[0], given[1:])
        refuse_monkey_patches("the Python interpreter", None)
        upgrade.command = _start_command()
        load = _make_load(given, upgrade.command)
        loaded = load()
        if loaded.settings.print_config:
            _print_out("".join(f"{line}\n" for line in loaded.lines()))
            return 0
        if loaded.settings.completion:
            from ropewalk.cli.completion import script  # which knows each command's options

            _print_out(script(loaded.settings.completion))
            return 0
        directory = enter_application(loaded.settings, upgrade.command.directory)
        if loaded.settings.check_config:
            return check(loaded)
        serve(loaded, load, directory, upgrade)
    except ConfigError as error:
        upgrade.report_failure(str(error))
        return _fail(str(error), USAGE_STATUS)
    except BootError as error:
        upgrade.report_failure(str(error))
        return _fail(str(error), BootError.status, is_logged=True)
    return 0


def _print_out(text: str) -> None:
    try:
        print_out(text)
    except OSError as error:
        raise ConfigError("standard output", None, f"cannot be written: {error.strerror}") from None


def _start_command() -> StartCommand:
    """How this process was started."""
    try:
        directory = start_directory(os.environ)
        command = StartCommand.of_this_process(directory, dict(os.environ))
        use_path_of(directory)
    except OSError as error:
        raise ConfigError("the current directory", None, f"{error.strerror}".lower()) from None
    return command


def _make_load(arguments: Sequence[str], start: StartCommand) -> Callable[[], Loaded]:
    """A function that reads the settings, now and at each reload: in the directory and environment of the start."""

    terminals = Terminals.of_this_process()

    def load() -> Loaded:
        with start.directory.entered():
            loaded = load_settings(arguments, start.environ)
        if True not in terminals:
            return loaded
        from ropewalk.cli.terminal import with_defaults

        return with_defaults(loaded, terminals)

    return load


def enter_application(settings: Settings, start: Directory) -> Directory:
    """Set the directory, the search path and the environment variables of the application; returns the directory."""
    directory = start.joined("--chdir", settings.chdir)
    directory.enter()
    prepare(settings)
    if not settings.wsgi_app:
        raise ConfigError(POSITIONAL, None, f"is missing; try: {PROGRAM} project.wsgi:application")
    return directory


def check(loaded: Loaded) -> int:
    """Check everything that a start checks, and load the application. Raises ConfigError."""
    warn(loaded)
    check_paths(loaded.settings, find_identity(loaded.settings.user, loaded.settings.group))
    hooks = make_hooks(loaded, loaded.settings)
    connect_loggers(loaded.settings)
    make_tls_context(loaded.settings, hooks)
    try:
        make_application(loaded.settings)
    except ConfigError as error:
        if error.__cause__ is not None:
            sys.stderr.writelines(traceback.format_exception(error.__cause__))
        raise
    _print_out("configuration ok\n")
    return 0


def serve(loaded: Loaded, load: Callable[[], Loaded], directory: Directory, upgrade: Upgrade) -> None:
    """Be the master until asked to stop. Raises ConfigError, BootError; in a worker SystemExit."""
    settings, log = loaded.settings, get_logger()
    identity = find_identity(settings.user, settings.group)
    notifier = Notifier.from_environ(os.environ)
    if upgrade.predecessor is not None:
        notifier.mute()
    hooks, tls = set_up(loaded, identity)
    with ExitStack() as on_exit:
        opened = open_everything(loaded, identity, upgrade, on_exit)
        greeting = ""
        if log.is_for_terminal:
            from ropewalk.cli.terminal import start_lines

            greeting = start_lines(settings, opened.listeners)
        preloaded = preload(settings) if settings.preload else None
        log.routine("Workers: %d, with up to %d threads each", settings.workers, settings.threads)
        program = WorkerSpec(
            *(settings, load, directory, opened.listeners, opened.pid_file, identity, notifier.watchdog_seconds),
            *(tls, hooks, opened.sockets, preloaded),
            development=make_development(settings),
        )
        shared_counts = program.shared_counts = open_shared_counts()
        if shared_counts is not None:
            on_exit.callback(shared_counts.close)
        try:
            Master(program, program.options(), notifier, opened.control, upgrade, greeting).run()
        except SystemExit:
            on_exit.pop_all()  # a worker exits here: only the master may remove what it opened
            raise
    if log.is_for_terminal:
        log.text("\nStopped")  # below the ^C
    log.routine("Shutting down: Master")


def set_up(loaded: Loaded, identity: Identity) -> tuple[ConfiguredHooks | None, TlsContext | None]:
    """Set up the logs, the hooks and TLS; returns the last two. Raises ConfigError."""
    settings, log = loaded.settings, get_logger()
    if settings.umask is not None:
        os.umask(settings.umask)
    create_logs(settings, identity)
    names = Names(settings.node_name, settings.replica_name)
    log.configure(settings.error_log, settings.log_level, settings.error_log_format, identity.trusted_owners, names)
    check_paths(settings, identity)
    hooks = make_hooks(loaded, settings)
    tls = make_tls_context(settings, hooks)
    warn(loaded)
    log.routine("Starting %s %s", PROGRAM, __version__)
    import_optional_modules(settings)
    connect_loggers(settings)
    if hooks is not None:
        hooks.starting()
        refuse_monkey_patches("--config", settings.config)
    return hooks, tls


def preload(settings: Settings) -> WSGIApplication:
    """Load the application in the master, to be shared by the workers. Raises BootError."""
    log, before = get_logger(), threading.active_count()
    try:
        application = load_application(settings.wsgi_app)
        refuse_monkey_patches(POSITIONAL, settings.wsgi_app)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        reason, details = explain(error)
        if details:
            log.text(details)
        raise BootError(reason) from None
    started = threading.active_count() - before
    if started > 0:
        log.warning("--preload: the application started threads that the workers will not have: %d", started)
    if parallel_threads() > 1:
        from ropewalk.threads.free_threading import share_keys

        share_keys()  # in the master, since workers share its memory until they write to it
    # A collection in a worker writes to each object that it examines, and so copies the page; freezing exempts them.
    gc.collect()
    gc.freeze()
    return application


def _fail(line: str, status: int, *, is_logged: bool = False) -> int:
    """Print why the start failed, or log it if the log is JSON on standard error; `is_logged`: in a log file too."""
    log = get_logger()
    is_json_alone = log.is_json and log.is_standard_error
    if is_json_alone or (is_logged and not log.is_standard_error):
        log.critical("%s", line)
    if not is_json_alone:
        print_error(f"{PROGRAM}: {line}")
    return status
