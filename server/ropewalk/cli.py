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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir
from socket import socket
from typing import TYPE_CHECKING, TextIO, cast

from ropewalk import __version__
from ropewalk.config import Loaded, Settings, load_settings
from ropewalk.config.declare import POSITIONAL
from ropewalk.config.flags import COMMANDS, PROGRAM
from ropewalk.desks import CONTROL, open_office
from ropewalk.errors import ConfigError
from ropewalk.net.inherited import (
    VARIABLES,
    adopt_listener,
    inherited_descriptors,
    inherited_listeners,
    inherited_names,
)
from ropewalk.net.listen import (
    SYSTEMD,
    Listeners,
    close_listeners,
    describe,
    leave_to_others,
    open_by_bind,
    take_over,
    turn_away,
)
from ropewalk.net.socket_file import DEFAULT_MODE, UnixListener
from ropewalk.observe.error_stream import ErrorStream
from ropewalk.observe.log import get_logger, open_log
from ropewalk.outfit import tls_context
from ropewalk.process.hooks import Hooks
from ropewalk.process.identity import Identity, find_identity
from ropewalk.process.master import BootError, Master
from ropewalk.process.notify import Notifier
from ropewalk.process.options import ProcessOptions
from ropewalk.process.pidfile import PidFile
from ropewalk.process.recycling import Lifetime
from ropewalk.process.succession import Command, Predecessor, Succession, second_name
from ropewalk.process.worker import explain
from ropewalk.service import Service
from ropewalk.wsgi.loader import load_application
from ropewalk.wsgi.time_limits import TimeLimits

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.hooks.calls import ConfiguredHooks
    from ropewalk.net.tls import TlsContext
    from ropewalk.observe.access import AccessLog

USAGE_STATUS = 2

SILENCE_GRACE = 5.0
"""Seconds that a worker has behind the longest timeout, in which it says itself what runs too long."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 2 for a bad setting, 3 when no worker could boot."""
    succession = Succession(None, Predecessor.take(os.environ))
    try:
        given = sys.argv[1:] if arguments is None else arguments
        if given and given[0] in COMMANDS:
            from ropewalk.operate import operate  # a client, with an HTTP client in it: a server needs neither

            return operate(given[0], given[1:])
        succession.command = _command()
        load = _loader(given, succession.command)
        loaded = load()
        if loaded.settings.print_config:
            sys.stdout.writelines(f"{line}\n" for line in loaded.lines())
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


def prepare(settings: Settings) -> None:
    """Set the search path and the variables; again in each worker, since a reload may have changed them."""
    # `python -m` has the directory there already, a console script has its own instead.
    for directory in (os.getcwd(), *reversed([os.path.abspath(path) for path in settings.pythonpath])):
        if directory in sys.path:
            sys.path.remove(directory)
        sys.path.insert(0, directory)
    for assignment in settings.env:
        name, _, value = assignment.partition("=")
        os.environ[name] = value


def check(loaded: Loaded) -> int:
    """Load the application and say how it went."""
    _warn(loaded)
    find_identity(loaded.settings.user, loaded.settings.group)
    _check_paths(loaded.settings)
    hooks = make_hooks(loaded, loaded.settings)
    make_tls_context(loaded.settings, hooks)
    try:
        make_application(loaded.settings)
    except ConfigError as error:
        if error.__cause__ is not None:
            sys.stderr.writelines(traceback.format_exception(error.__cause__))
        raise
    sys.stdout.write("configuration ok\n")
    return 0


def serve(loaded: Loaded, load: Callable[[], Loaded], succession: Succession) -> None:
    """Be the master until told to end. Raises ConfigError, BootError; in a worker SystemExit."""
    settings, log = loaded.settings, get_logger()
    identity = find_identity(settings.user, settings.group)
    if settings.umask is not None:
        os.umask(settings.umask)
    notifier = Notifier.take(os.environ)
    predecessor = succession.predecessor
    if predecessor is not None:
        notifier.wait()
    _create_logs(settings, identity)
    log.configure(settings.error_log, settings.log_level, settings.error_log_format)
    _check_paths(settings)
    hooks = make_hooks(loaded, settings)
    tls = make_tls_context(settings, hooks)
    _warn(loaded)
    log.info("Starting %s %s", PROGRAM, __version__)
    import_what_is_asked_for(settings)
    if hooks is not None:
        hooks.starting()
    with ExitStack() as at_the_end:
        earlier = take_over(predecessor.listeners) if predecessor is not None else {}
        pid_path = second_name(settings.pid) if settings.pid and predecessor is not None else settings.pid
        pid_file = PidFile(pid_path) if pid_path else None
        if pid_file is not None:
            at_the_end.callback(pid_file.remove)
        opened = listen(loaded, earlier)
        listeners = [listener for each in opened.values() for listener in each]
        at_the_end.callback(close_listeners, listeners)
        for listener in listeners:
            if isinstance(listener, UnixListener):
                identity.own_socket(listener.path)
        office, desk_listeners = open_office(settings, earlier, is_second=predecessor is not None)
        at_the_end.callback(close_listeners, [listener for each in desk_listeners.values() for listener in each])
        at_the_end.callback(lambda: leave_to_others(listeners) if succession.is_shared else None)
        for unused in earlier.values():
            leave_to_others(unused)
            close_listeners(unused)
        preloaded = preload(settings) if settings.preload else None
        log.info("Workers: %d, with up to %d threads each", settings.workers, settings.threads)
        watchdog, sockets = notifier.watchdog_seconds, {**opened, **desk_listeners}
        program = WorkerProgram(settings, load, listeners, pid_file, identity, watchdog, tls, hooks, sockets, preloaded)
        try:
            Master(program, program.options(), notifier, office, succession).run()
        except SystemExit:
            at_the_end.pop_all()  # a worker ends here: what the master opened is not its to remove
            raise
    log.info("Shutting down: Master")


def listen(loaded: Loaded, earlier: Listeners) -> Listeners:
    """The listening sockets: systemd's, unless the operator said where to listen. Raises ConfigError.

    Those that `earlier` has, an old master's, are taken out of there and not opened again.
    """
    settings, log, pid = loaded.settings, get_logger(), os.getpid()
    passed, names = inherited_descriptors(os.environ, pid), inherited_names(os.environ, pid)
    try:
        if passed and loaded.is_default("bind"):
            opened = {SYSTEMD: inherited_listeners(os.environ)}
        elif SYSTEMD in earlier and loaded.is_default("bind"):
            opened = {SYSTEMD: earlier.pop(SYSTEMD)}
        else:
            opened = open_by_bind(settings.bind, earlier, backlog=settings.backlog, unix_mode=_unix_mode(settings))
    except ConfigError as error:
        if error.setting != "bind":
            raise
        raise ConfigError("--bind", error.value, error.allowed, loaded.origin("bind")) from None
    finally:
        for variable in VARIABLES:
            os.environ.pop(variable, None)
    listeners = [listener for each in opened.values() for listener in each]
    for listener in listeners:
        name = names.get(listener.fileno(), "")
        origin = f", passed by systemd as {name}" if name else ""
        where = describe(listener, scheme="https" if settings.certfile else "http")
        log.info("Listening at: %s (%d)%s", where, pid, origin)
    for descriptor in set(passed) - {listener.fileno() for listener in listeners}:
        _leave_passed(descriptor)
    return opened


def _leave_passed(descriptor: int) -> None:
    """Let go of a socket that systemd passed and `--bind` does not name."""
    try:
        listener = adopt_listener(descriptor)
    except ValueError:
        return
    get_logger().warning(
        "%s, passed by systemd, is not used since --bind says where to listen: connections to it wait unanswered "
        "(leave --bind out, or name fd://%d in it)",
        describe(listener),
        descriptor,
    )
    listener.close()


def _unix_mode(settings: Settings) -> int:
    return DEFAULT_MODE & ~(settings.umask or 0) if settings.unix_mode is None else settings.unix_mode


LASTING = (
    *("bind", "backlog", "unix_mode", "pid", "user", "group", "umask", "chdir", "error_log", "log_level"),
    *("error_log_format", "control_socket", "admin_bind", "preload"),
)
"""Settings of the master itself, which a reload does not change."""


class WorkerProgram:
    """What runs in a worker."""

    access_log: AccessLog | None = None
    """Made after the fork, since it has a thread."""

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Loaded],
        listeners: Sequence[socket],
        pid_file: PidFile | None,
        identity: Identity,
        watchdog: float,
        tls: TlsContext | None,
        hooks: ConfiguredHooks | None,
        sockets: Listeners,
        preloaded: WSGIApplication | None,
    ) -> None:
        """`tls` is the master's: it may read a key that the workers may not, and they share the keys of tickets."""
        self.settings = settings
        self.load = load
        self.listeners = listeners
        self.pid_file = pid_file
        self.identity = identity
        self.watchdog = watchdog
        self.tls = tls
        self.hooks = hooks
        self.sockets = sockets
        """All of the master's, by what they are for."""
        self.preloaded = preloaded
        """The application, if the master has loaded it."""

    def options(self) -> ProcessOptions:
        """What the process layer is to know."""
        settings = self.settings
        limits = TimeLimits(settings.timeout, settings.timeout_for)
        return ProcessOptions(
            workers=settings.workers,
            timeout=limits.shortest,
            graceful_timeout=settings.graceful_timeout,
            drain_delay=settings.drain_delay,
            watchdog=self.watchdog,
            silence=limits.longest + SILENCE_GRACE if limits.longest else 0.0,
            hooks=self.hooks or Hooks(),
            lifetime=Lifetime(settings.max_requests, settings.max_requests_jitter, settings.max_rss),
        )

    def boot(self) -> Service:
        """Load the application and put a service around it. Raises ConfigError."""
        settings = self.settings
        if self.pid_file is not None:
            self.pid_file.forget()
        self.identity.become()
        prepare(settings)
        log = get_logger()
        log.forget_counts()
        if settings.access_log:
            from ropewalk.observe.access import AccessLog

            self.access_log = AccessLog(settings.access_log, settings.access_log_format)
        return Service(
            make_application(settings, self.preloaded),
            self.listeners,
            settings,
            access_log=self.access_log,
            multiprocess=settings.workers > 1,
            errors=cast("TextIO", ErrorStream(log)),
            tls=self.tls,
            hooks=None if self.hooks is None else self.hooks.of_requests(),
        )

    def reloaded(self) -> tuple[WorkerProgram, ProcessOptions]:
        """The same with the settings read again; what lasts is named if it was changed. Raises ConfigError."""
        loaded = self.load()
        _warn(loaded)
        if self.preloaded is not None:
            get_logger().warning("--preload: the code of the application stays as it is; USR2 loads it again")
        changed = [name for name in LASTING if getattr(loaded.settings, name) != getattr(self.settings, name)]
        if changed:
            get_logger().warning("changed, but not before the next start: %s", ", ".join(changed))
        lasting = {name: getattr(self.settings, name) for name in LASTING}
        if self.preloaded is not None:
            lasting["wsgi_app"] = self.settings.wsgi_app
        settings = loaded.settings.changed(**lasting)
        hooks = make_hooks(loaded, settings, self.hooks)
        program = WorkerProgram(
            settings,
            self.load,
            self.listeners,
            self.pid_file,
            self.identity,
            self.watchdog,
            tls=None,
            hooks=hooks,
            sockets=self.sockets,
            preloaded=self.preloaded,
        )
        _create_logs(program.settings, self.identity)
        _check_paths(program.settings)
        import_what_is_asked_for(settings)
        program.tls = make_tls_context(settings, program.hooks)
        return program, program.options()

    def reopen_logs(self) -> None:
        """Open the logs again by their names. Raises ConfigError."""
        _create_logs(self.settings, self.identity)
        get_logger().reopen()
        if self.access_log is not None:
            self.access_log.reopen()

    def shared(self) -> dict[str, list[int]]:
        """The descriptors of the listening sockets that a new master gets."""
        return {
            name: [listener.fileno() for listener in listeners]
            for name, listeners in self.sockets.items()
            if name != CONTROL
        }

    def turn_away(self) -> bool:
        """Let nobody start to connect any more; tells whether connections may still come that were begun before."""
        return turn_away(self.listeners)

    def let_go(self, *, is_shared: bool) -> None:
        """Close the listening sockets, in the master. `is_shared`: another master listens there."""
        if is_shared:
            leave_to_others(self.listeners)
        close_listeners(self.listeners)

    def promote(self) -> None:
        """Take the names of the old master's files; one that cannot be had is told."""
        try:
            if self.pid_file is not None:
                self.pid_file.move(self.settings.pid)
            for listener in self.sockets.get(CONTROL, ()):
                if isinstance(listener, UnixListener):
                    listener.move(self.settings.control_socket)
        except (ConfigError, OSError) as error:
            get_logger().warning("a file of the old master's cannot be taken over: %s", error)

    def finish(self) -> None:
        """Write out the access log, and let go of the sockets."""
        close_listeners(self.listeners)
        if self.access_log is not None:
            self.access_log.close()


def import_what_is_asked_for(settings: Settings) -> None:
    """Load, in the master, what a worker is to have by its settings and a plain one does without.

    So the workers share it, and one whose user may not read the interpreter's libraries has it too.
    """
    if settings.access_log:
        import ropewalk.logbook
    if settings.static:
        import ropewalk.wsgi.static
    if settings.certfile or settings.proxy_protocol != "off":
        import ropewalk.net.opening  # noqa: F401 - OpenSSL, 4 MB


def _create_logs(settings: Settings, identity: Identity) -> None:
    """Make the log files the workers' who append to them."""
    for path in (settings.error_log, settings.access_log):
        if path not in ("", "-"):
            identity.create(path)


def make_hooks(loaded: Loaded, settings: Settings, before: ConfiguredHooks | None = None) -> ConfiguredHooks | None:
    """The hooks of the file, if it has any, or had any before it was read again."""
    if before is not None:
        return before.renewed(loaded.hooks, settings)
    if not loaded.hooks:
        return None
    from ropewalk.hooks.calls import ConfiguredHooks  # the objects that gunicorn gives to hooks, and few use

    return ConfiguredHooks(loaded.hooks, settings)


def make_tls_context(settings: Settings, hooks: ConfiguredHooks | None) -> TlsContext | None:
    """The context of TLS, which a hook may have changed. Raises ConfigError."""
    return tls_context(settings, None if hooks is None else hooks.make_ssl_context)


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
    # What is left is there to stay. A collection writes to all that it looks at, and what is written to is copied.
    gc.collect()
    gc.freeze()
    return application


def make_application(settings: Settings, preloaded: WSGIApplication | None = None) -> WSGIApplication:
    """The application that the settings name, with the static files in front. Raises ConfigError."""
    application = preloaded or load_application(settings.wsgi_app)
    mounts = dict(_mounts(settings))
    if not mounts:
        return application
    from ropewalk.wsgi.static import StaticFiles

    return StaticFiles(application, mounts)


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


def _complain(line: str, status: int, *, is_logged: bool = False) -> int:
    """Say why the start failed: to the operator, unless the log says it there in JSON; `is_logged`: to the log too."""
    log = get_logger()
    is_json_alone = log.is_json and log.is_standard_error
    if is_json_alone or (is_logged and not log.is_standard_error):
        log.critical("%s", line)
    if not is_json_alone:
        sys.stderr.write(f"{PROGRAM}: {line}\n")
    return status
