"""Runs a program in a process that is started again whenever its files change, as `run_simple(use_reloader=True)` does.

The parent runs the same command line with WERKZEUG_RUN_MAIN set; the child serves in a thread, watches in its main
thread, and exits with a status that means *again*. Sockets that the parent has made inheritable stay open meanwhile.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ropewalk.cli.stdio import print_error
from ropewalk.reloading.events import is_available
from ropewalk.reloading.watcher import INTERVAL, Watcher

RUN_MAIN = "WERKZEUG_RUN_MAIN"
"""The variable that Flask and others look at, to know whether they are in the process that serves."""

PARENT = "ROPEWALK_RELOADER_PID"

AGAIN = 3
"""The exit status of a child whose files have changed: Werkzeug's."""

STOP_SECONDS = 3.0  # a request that runs for longer is cut

PARENT_CHECK = 1.0  # seconds after which a child notices that its parent was killed


def is_child() -> bool:
    """Whether this is the process that serves."""
    return os.environ.get(RUN_MAIN) == "true"


def run_with_reloader(
    main: Callable[[], None],
    stop: Callable[[], object] = lambda: None,
    *,
    extra_files: Sequence[str] = (),
    exclude_patterns: Sequence[str] = (),
    interval: float = INTERVAL,
    engine: str = "auto",
    is_failed: bool = False,
    report: Callable[[str], None] = print_error,
) -> NoReturn:
    """Run `main` in a child process, which is replaced at each change of a file; does not return.

    `stop` is called in the child before it is replaced, so that requests which it has accepted get their responses; it
    has `STOP_SECONDS`. Ctrl-C ends the child at once.
    `engine` is `auto`, `inotify` or `poll`. `is_failed`: the program could not be imported, and any of Python's files
    in the current folder may mend it. `report` is given the lines about it. Main thread only.
    """
    # As in a shell, so that `finally` blocks and exit functions run.
    signal.signal(signal.SIGTERM, _exit)
    watcher = Watcher(extra=extra_files, ignore=exclude_patterns, engine=engine, interval=interval, report=report)
    if not is_child():
        name = "stat" if watcher.is_polling or not is_available() else "watchfiles"
        sys.exit(keep_restarting(lambda: report(f" * Restarting with {name}")))
    restore_echo()
    if is_failed:
        watcher.watch_sources()
    status = serve_until_changed(main, watcher, report)
    if status == AGAIN:
        ending = threading.Thread(target=stop, name="ropewalk-stop", daemon=True)
        ending.start()
        with suppress(KeyboardInterrupt):
            ending.join(STOP_SECONDS)
    end_process(status)


def serve_until_changed(main: Callable[[], None], watcher: Watcher, report: Callable[[str], None]) -> int:
    """Run `main` in a thread until a file has changed; returns the exit status, 0 after Ctrl-C or without a parent."""
    never, changed = threading.Event(), list[str]()
    watcher.changed()  # what is known of the files from now on is from before the first request
    threading.Thread(target=main, name="ropewalk-reloaded", daemon=True).start()
    try:
        while not changed:
            changed = watcher.wait(never, PARENT_CHECK)
            if os.environ.get(PARENT) not in (None, str(os.getppid())):
                return 0
    except KeyboardInterrupt:
        return 0
    report(f" * Detected change in {', '.join(map(repr, changed))}, reloading")
    return AGAIN


def restore_echo() -> None:
    """Have the terminal show what is typed: a debugger whose process a reload has ended may have turned that off."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    attributes = termios.tcgetattr(sys.stdin)
    if not attributes[3] & termios.ECHO:
        attributes[3] |= termios.ECHO
        termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)


def end_process(status: int) -> NoReturn:
    """End this process now: threads that serve, or that the program has started, are not waited for."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            stream.flush()
    os._exit(status)


def keep_restarting(announce: Callable[[], None]) -> int:
    """Run this process's command line as a child, again and again; returns its exit status once that is another one.

    `announce` is called before each start.
    """
    environ = os.environ | {RUN_MAIN: "true", PARENT: str(os.getpid())}
    command = [sys.executable, *sys.orig_argv[1:]]
    while True:
        announce()
        with subprocess.Popen(command, env=environ, close_fds=False) as child:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                status = child.wait()
            except SystemExit:
                child.terminate()
                raise
        if status != AGAIN:
            return status


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(0)
