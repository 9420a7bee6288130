"""`make logs`: the logs of all containers of the site, merged by time."""

import contextlib
import heapq
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TextIO

from kit import compose, containers
from kit.console import has_color
from kit.errors import KitError
from kit.logs import choice, show, sources
from kit.logs.choice import Choice
from kit.logs.records import Record

SETTLING = 0.2
"""Seconds for which a line waits for lines of other containers that are older than it."""

Print = Callable[[Record], None]


class Feed(Protocol):
    """Where the lines come from."""

    def history(self, wanted: Choice) -> Iterator[Record]:
        """What is wanted of the lines until now, in their order."""

    def labels(self) -> list[str]:
        """How the sources are shown; called after `history`."""

    def following(self) -> AbstractContextManager["queue.SimpleQueue[Record]"] | None:
        """The lines from now on, in the order in which they arrive; None if none will come."""


class Containers:
    """Those of a compose project."""

    def __init__(self, project: str, services: tuple[str, ...], environment: Mapping[str, str]) -> None:
        """Raises KitError if there are none, or if a service has none."""
        found = containers.of_project(project, environment)
        if not found:
            raise KitError(f"the compose project {project} has no containers: make up starts it")
        choice.check_services(services, [each.service for each in found])
        self._chosen = [each for each in found if not services or each.service in services]
        self._names = sources.labels(self._chosen)
        self._until = containers.output(["info", "--format", "{{.SystemTime}}"], environment).strip()
        self._project, self._services, self._environment = project, services, environment

    def history(self, wanted: Choice) -> Iterator[Record]:
        options = [*wanted.history, "--until", self._until]
        each = [self._wanted(one.identifier, options, wanted) for one in self._chosen]
        return heapq.merge(*each, key=lambda record: record.time)

    def _wanted(self, identifier: str, options: list[str], wanted: Choice) -> list[Record]:
        # all before the first is judged: a traceback says what the line above it is
        records = list(sources.read(identifier, self._names[identifier], options, self._environment))
        return [record for record in records if wanted.wants(record)]

    def labels(self) -> list[str]:
        return list(self._names.values())

    def following(self) -> AbstractContextManager["queue.SimpleQueue[Record]"] | None:
        return self._follow() if any(container.is_running for container in self._chosen) else None

    @contextlib.contextmanager
    def _follow(self) -> Iterator["queue.SimpleQueue[Record]"]:
        following = sources.Sources(self._project, self._environment, self._until, self._services)
        try:
            following.open(self._chosen)
            yield following.records
        finally:
            following.close()


def logs(environment: Mapping[str, str]) -> int:
    wanted = choice.read(environment, is_terminal=sys.stdout.isatty())
    prepared = compose.prepare(environment)
    return print_all(Containers(compose.project_name(prepared), wanted.services, prepared), wanted, prepared)


def print_all(feed: Feed, wanted: Choice, environment: Mapping[str, str]) -> int:
    """Until Ctrl-C, if more may come. Returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        _print_all(feed, wanted, environment)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_all(feed: Feed, wanted: Choice, environment: Mapping[str, str]) -> None:
    found = list(feed.history(wanted))
    emit = printer(wanted, sys.stdout, environment, labels=feed.labels())
    for record in found:
        emit(record)
    sys.stdout.flush()
    if not wanted.follows or (following := feed.following()) is None:
        return
    with following as arriving:
        for record in in_order(arriving):
            if wanted.wants(record) and (record.line or wanted.format != "raw"):
                emit(record)


def in_order(
    arriving: "queue.SimpleQueue[Record]", now: Callable[[], float] = time.monotonic, settling: float = SETTLING
) -> Iterator[Record]:
    """Records of several containers by their time, each a moment after it has arrived."""
    waiting: list[tuple[float, int, float, Record]] = []
    number = 0
    while True:
        try:
            timeout = max(0.0, min(entry[2] for entry in waiting) + settling - now()) if waiting else None
            record = arriving.get(timeout=timeout)
            number += 1
            heapq.heappush(waiting, (record.time.timestamp(), number, now(), record))
        except queue.Empty:
            pass
        # the oldest by its own time goes first; what is older than one that has settled has settled too
        while waiting and any(entry[2] + settling <= now() for entry in waiting):
            yield heapq.heappop(waiting)[3]


def printer(wanted: Choice, stream: TextIO, environment: Mapping[str, str], labels: list[str]) -> Print:
    def write(text: str) -> None:
        stream.write(text + "\n")
        stream.flush()

    match wanted.format:
        case "json":
            return lambda record: write(show.as_json(record))
        case "raw" if len(wanted.services) == 1:
            return lambda record: write(record.line)
        case "raw":
            width = max(map(len, labels), default=0)
            return lambda record: write(f"{record.container:<{width}} | {record.line}")
    text = show.Text(has_color=has_color(stream, environment), width=max(map(len, labels), default=0))
    return lambda record: write("\n".join(text.lines(record)))
