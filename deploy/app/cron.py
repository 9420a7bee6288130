#!/opt/venv/bin/python -Iu
"""Runs the lines of the variable CRON, or of the file `crontab` in the project, at their times.

    cron.py             process 1 of the container `cron`, until SIGTERM
    cron.py --check     exit status 2, and one line, if something in them is wrong

Each line is run by a shell, in the folder of the project's commands. What it prints goes to this program's standard
output, after the line's name in brackets. A line that is due while it still runs is left out. After SIGTERM nothing is
started any more; what runs has GRACEFUL_TIMEOUT seconds to end, then it gets SIGTERM too.

The file FAILED has a line for each job whose last run failed: the container's health check shows it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

# isolated: the project's modules are not in the path, and neither is this folder
sys.path[:0] = [str(Path(__file__).resolve().parent), "/opt/cron"]
import crontab  # noqa: E402
from crontab import CrontabError, Job  # noqa: E402

FAILED = Path("/tmp/cron.failed")
LONGEST_WAIT = 30.0
"""Seconds between two looks at the clock, which may be set."""
SHELL = "/bin/sh"
LONGEST_LINE = 16 * 1024
"""Octets of a line of output that are one line of the log."""

_output = threading.Lock()
"""Held while a line is written."""


def say(text: str) -> None:
    with _output:
        sys.stdout.write(f"{text}\n")


def source(environment: Mapping[str, str], folder: Path) -> tuple[str, str]:
    """The text of the lines, and where they are. Raises CrontabError if there are none."""
    if environment.get("CRON", "").strip():
        return environment["CRON"], "CRON"
    path = folder / "crontab"
    if not path.is_file():
        raise CrontabError("the profile cron is on, but CRON is not set and the project has no file crontab")
    return path.read_text(encoding="utf-8", errors="replace"), "crontab"


class Runs:
    """The runs of all lines. The main thread starts them; a thread for each waits for its end."""

    def __init__(self, failed: Path = FAILED) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        """By the name of the job. Under the lock."""
        self._failures: dict[str, str] = {}
        """Jobs whose last run failed. Under the lock."""
        self._failed = failed
        self._threads: list[threading.Thread] = []

    def start(self, job: Job) -> None:
        with self._lock:
            if job.name in self._running:
                say(f"cron: warning: {job.name} is due again, but still runs: left out")
                return
            try:
                self._running[job.name] = process = self._open(job)
            except OSError as error:
                self._note(job, f"could not be started: {error.strerror}")
                return
        thread = threading.Thread(target=self._follow, args=(job, process, time.monotonic()), name=job.name)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    @staticmethod
    def _open(job: Job) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **job.variables}
        return subprocess.Popen(
            [environment.get("SHELL") or SHELL, "-c", job.command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _follow(self, job: Job, process: subprocess.Popen[bytes], began: float) -> None:
        assert process.stdout
        with process.stdout as output:
            while line := output.readline(LONGEST_LINE):
                say(f"[{job.name}] {line.decode(errors='replace').rstrip()}")
        status = process.wait()
        took = f"after {time.monotonic() - began:.1f} s"
        with self._lock:
            del self._running[job.name]
            if status:
                how = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
                self._note(job, f"ended with {how} {took}")
            else:
                say(f"cron: {job.name} done {took}")
                self._failures.pop(job.name, None)
                self._write()

    def _note(self, job: Job, what: str) -> None:
        """A failure. The lock is held."""
        say(f"cron: error: {job.name} {what}")
        self._failures[job.name] = f"{job.name} {what}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        self._write()

    def _write(self) -> None:
        if not self._failures:
            self._failed.unlink(missing_ok=True)
            return
        new = self._failed.with_suffix(".new")
        new.write_text("".join(f"{text}\n" for text in self._failures.values()))
        new.replace(self._failed)

    def drain(self, patience: float) -> None:
        """Waits for what runs; after `patience` seconds, asks it to end."""
        with self._lock:
            names = sorted(self._running)
        if names:
            say(f"cron: stopping; waiting for {', '.join(names)}")
        self._wait(time.monotonic() + patience)
        with self._lock:
            for name, process in self._running.items():
                say(f"cron: warning: {name} still runs: ending it")
                os.killpg(process.pid, signal.SIGTERM)
        self._wait(time.monotonic() + 5)

    def _wait(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))


def run(jobs: list[Job], runs: Runs, stop: threading.Event) -> None:
    """Until `stop`."""
    due = {job.name: job.due_after(datetime.now(UTC)) for job in jobs}
    while not stop.is_set():
        now = datetime.now(UTC)
        for job in jobs:
            if due[job.name] <= now:
                runs.start(job)
                due[job.name] = job.due_after(now)
        seconds = (min(due.values()) - datetime.now(UTC)).total_seconds()
        stop.wait(min(max(seconds, 0.0), LONGEST_WAIT))


def main(arguments: list[str]) -> int:
    place = "cron"
    try:
        text, place = source(os.environ, Path())
        jobs = crontab.read(text)
    except CrontabError as error:
        sys.stderr.write(f"cron: {f'{place}: ' * (place != 'cron')}{error}\n")
        return 2
    if arguments == ["--check"]:
        return 0
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    FAILED.unlink(missing_ok=True)
    for job in jobs:
        following = job.due_after(datetime.now(UTC))
        say(f"cron: {job.name}: {job.schedule} {following.tzname()}, next {following:%Y-%m-%d %H:%M}: {job.command}")
    runs = Runs()
    run(jobs, runs, stop)
    runs.drain(float(os.environ.get("GRACEFUL_TIMEOUT", "30")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
