"""`make logs`: the logs of all containers of the site, merged by time."""

import heapq
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

from kit import compose, containers
from kit.console import has_color
from kit.containers import Container
from kit.errors import KitError
from kit.logs import choice, show, sources
from kit.logs.choice import Choice
from kit.logs.records import Record

SETTLING = 0.2
"""Seconds for which a line waits for lines of other containers that are older than it."""

Print = Callable[[Record], None]


def logs(environment: Mapping[str, str]) -> int:
    wanted = choice.read(environment, is_terminal=sys.stdout.isatty())
    prepared = compose.prepare(environment)
    project = compose.project_name(prepared)
    found = containers.of_project(project, prepared)
    if not found:
        raise KitError(f"the compose project {project} has no containers: make up starts it")
    choice.check_services(wanted.services, [each.service for each in found])
    chosen = [each for each in found if not wanted.services or each.service in wanted.services]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        _print_all(chosen, wanted, project, prepared)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _print_all(chosen: list[Container], wanted: Choice, project: str, environment: Mapping[str, str]) -> None:
    until = containers.output(["info", "--format", "{{.SystemTime}}"], environment).strip()
    emit = printer(wanted, sys.stdout, environment, labels=list(sources.labels(chosen).values()))
    for record in history(chosen, wanted, until, environment):
        emit(record)
    sys.stdout.flush()
    if not wanted.follows or not any(container.is_running for container in chosen):
        return
    following = sources.Sources(project, environment, until, wanted.services)
    try:
        following.open(chosen)
        for record in in_order(following.records):
            if wanted.wants(record) and (record.line or wanted.format != "raw"):
                emit(record)
    finally:
        following.close()


def history(chosen: list[Container], wanted: Choice, until: str, environment: Mapping[str, str]) -> Iterator[Record]:
    """What is wanted of the lines until that time, in their order."""
    names = sources.labels(chosen)
    each = [_wanted_history(one.identifier, names[one.identifier], wanted, until, environment) for one in chosen]
    return heapq.merge(*each, key=lambda record: record.time)


def _wanted_history(
    identifier: str, label: str, wanted: Choice, until: str, environment: Mapping[str, str]
) -> list[Record]:
    options = [*wanted.history, "--until", until]
    # all before the first is judged: a traceback says what the line above it is
    records = list(sources.read(identifier, label, options, environment))
    return [record for record in records if wanted.wants(record)]


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
            width = max(map(len, labels))
            return lambda record: write(f"{record.container:<{width}} | {record.line}")
    text = show.Text(has_color=has_color(stream, environment), width=max(map(len, labels)))
    return lambda record: write("\n".join(text.lines(record)))
