"""The logs of containers, read with `docker logs`: what there is, and what comes, also of containers that start later.

Each container that is followed has a thread and a process. They end with `Sources.close`.
"""

import contextlib
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from kit import containers
from kit.containers import Container
from kit.logs.records import Parser, Record

EVENTS = (
    "--filter=type=container",
    "--filter=event=start",
    "--filter=event=die",
    '--format={{.ID}} {{.TimeNano}} {{.Action}} {{index .Actor.Attributes "exitCode"}}',
)


def labels(found: list[Container]) -> dict[str, str]:
    """How each container is shown, by its ID: its service, and its number in it if there are several."""
    count: dict[str, int] = {}
    for container in found:
        count[container.service] = count.get(container.service, 0) + 1
    return {
        container.identifier: container.service if count[container.service] == 1 else numbered(container)
        for container in found
    }


def numbered(container: Container) -> str:
    number = (container.inspected["Config"].get("Labels") or {}).get("com.docker.compose.container-number", "")
    return f"{container.service}-{number}".rstrip("-")


def read(identifier: str, label: str, options: list[str], environment: Mapping[str, str]) -> Iterator[Record]:
    """The records of a container's log, in their order, until its end."""
    with start(["logs", "--timestamps", *options, identifier], environment) as process:
        try:
            yield from records(process, Parser(label))
        finally:
            process.kill()


def records(process: "subprocess.Popen[bytes]", parser: Parser) -> Iterator[Record]:
    for line in process.stdout or ():
        yield parser.read(line.decode(errors="replace").rstrip("\r\n"))


def start(words: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Both streams in one, in the order in which docker writes them."""
    return subprocess.Popen(
        ["docker", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


class Event(NamedTuple):
    identifier: str
    since: str
    """Seconds since 1970, with decimals."""
    has_started: bool
    exit_status: str


def read_event(line: str) -> Event | None:
    words = line.split()
    if len(words) < 3 or not words[1].isdigit():
        return None
    seconds, nanoseconds = divmod(int(words[1]), 10**9)
    status = words[3] if len(words) > 3 and words[3].isdigit() else ""
    return Event(words[0], f"{seconds}.{nanoseconds:09}", words[2] == "start", status)


class Following:
    """Threads that put records into one queue, and the processes that they read."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.records: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._environment = environment
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        """Under the lock, as `_is_closed`."""
        self._is_closed = False
        self._threads: list[threading.Thread] = []

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for process in self._processes:
                process.kill()
        for thread in list(self._threads):
            thread.join()

    def _run(self, target: Callable[..., None], *arguments: str) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    @contextlib.contextmanager
    def _started(self, words: list[str]) -> Iterator["subprocess.Popen[bytes] | None"]:
        with self._lock:
            process = None if self._is_closed else start(words, self._environment)
            if process:
                self._processes.add(process)
        try:
            yield process
        finally:
            if process:
                process.kill()
                with process:
                    pass
                with self._lock:
                    self._processes.discard(process)


class Sources(Following):
    """What containers write from `since` on, in one queue."""

    def __init__(self, project: str, environment: Mapping[str, str], since: str, services: tuple[str, ...]) -> None:
        super().__init__(environment)
        self._project = project
        self._services = services
        self._labels: dict[str, str] = {}
        """Written by the thread of events alone, once that has started."""
        self._since = since

    def open(self, found: list[Container]) -> None:
        self._labels = labels(found)
        for container in found:
            if container.is_running:
                self._follow(container.identifier, self._since)
        self._run(self._watch)

    def _follow(self, identifier: str, since: str) -> None:
        self._run(self._copy, identifier, since)

    def _copy(self, identifier: str, since: str) -> None:
        with self._started(["logs", "--timestamps", "--follow", "--since", since, identifier]) as process:
            if process:
                for record in records(process, Parser(self._labels[identifier])):
                    self.records.put(record)

    def _watch(self) -> None:
        """Containers that start, and how others have ended."""
        label = f"--filter=label={containers.PROJECT}={self._project}"
        with self._started(["events", f"--since={self._since}", label, *EVENTS]) as process:
            for line in (process and process.stdout) or ():
                if event := read_event(line.decode()):
                    self._handle(event)

    def _handle(self, event: Event) -> None:
        if event.has_started and event.identifier not in self._labels:
            self._learn(event.identifier)
        if event.identifier not in self._labels:
            return
        if event.has_started:
            self._note(event, "info", "the container has started")
            self._follow(event.identifier, event.since)
        else:
            level = "info" if event.exit_status in ("", "0") else "error"
            self._note(event, level, f"the container has ended with exit status {event.exit_status or 'unknown'}")

    def _learn(self, identifier: str) -> None:
        for container in containers.find(identifier, self._environment):
            if not self._services or container.service in self._services:
                self._labels[identifier] = numbered(container)

    def _note(self, event: Event, level: str, text: str) -> None:
        time = datetime.fromtimestamp(float(event.since), UTC)
        self.records.put(Record(time, self._labels[event.identifier], level, "", text))
