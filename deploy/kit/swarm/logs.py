"""`make logs` and `make why` for a swarm: the logs of all tasks of the stack, on whichever node they are.

`docker service logs` has them for a manager, one call for each service. It says of each line which task it is of.
"""

import contextlib
import queue
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from kit.logs import choice, command, show
from kit.logs import why as of_request
from kit.logs.choice import Choice
from kit.logs.records import Parser, Record
from kit.logs.request import Log
from kit.logs.sources import Following, start
from kit.swarm import tasks
from kit.swarm.stack import JOBS
from kit.swarm.tasks import Stack

LINE = re.compile(
    r"(?P<time>\S+) (?P<service>[\w.-]+)\.(?P<slot>[0-9]+)\.(?P<task>[a-z0-9]{25})@(?P<node>\S+) +\| ?(?P<text>.*)"
)
"""Of `docker service logs --timestamps --no-trunc`. The slot is 0 if the service has none."""

ASK = ("service", "logs", "--timestamps", "--no-trunc")
NO_SUCH = "no such service"
"""In what docker says of one that has been removed meanwhile, as a deployment does with a job."""

SKEW = timedelta(minutes=1)
"""How much the clocks of the nodes may differ: what is followed begins so long before the end of what there was."""

CREATED = (
    "--filter=type=service",
    "--filter=event=create",
    '--format={{.TimeNano}} {{index .Actor.Attributes "name"}}',
)


def logs(environment: Mapping[str, str]) -> int:
    wanted = choice.read(environment, is_terminal=sys.stdout.isatty())
    stack = tasks.find(environment)
    known = tasks.services(stack.name, stack.environment)
    choice.check_services(wanted.services, known)
    chosen = [each for each in known if each in (wanted.services or known)]
    return command.print_all(Feed(stack, chosen, wanted.services), wanted, stack.environment)


def why(environment: Mapping[str, str]) -> int:
    """Exit status 1 if no log has the request."""
    identifier = of_request.identifier(environment)
    stack = tasks.find(environment)
    wanted = Choice(request_id=identifier)
    found = []
    for service in tasks.services(stack.name, stack.environment):
        if service not in JOBS:
            by_label: dict[str, list[Record]] = {}
            for _, record in Reader(stack.name).read_all(service, [], stack.environment):
                by_label.setdefault(record.container, []).append(record)
            for label, records in by_label.items():
                oldest = min(record.time for record in records)
                found.append(Log(label, service == "nginx", oldest, [each for each in records if wanted.wants(each)]))
    return of_request.print_story(identifier, found)


class Reader:
    """Turns the lines of a service into records. Only the thread that reads them uses it."""

    def __init__(self, stack: str, known: Mapping[str, datetime] | None = None) -> None:
        """`known`: of a task, the time of the last line that is known already."""
        self._stack = stack
        self._known = known or {}
        self._parsers: dict[str, Parser] = {}
        """By the task: lines of several are mixed."""
        self._said: set[str] = set()

    def read(self, line: str) -> tuple[str, Record] | None:
        """The task, and the record; None for a line that is known, or no task's."""
        if not (found := LINE.fullmatch(line)):
            self._note(line)
            return None
        task = found["task"]
        if task not in self._parsers:
            self._parsers[task] = Parser(label(self._stack, found["service"], found["slot"], found["node"]))
        record = self._parsers[task].read(f"{found['time']} {found['text']}")
        return None if task in self._known and record.time <= self._known[task] else (task, record)

    def _note(self, line: str) -> None:
        """What docker says itself, such as that a node is not available."""
        if line and NO_SUCH not in line and line not in self._said:
            self._said.add(line)
            sys.stderr.write(f"logs: {show.clean(line.removeprefix('error from daemon in stream: '))}\n")

    def read_all(
        self, service: str, options: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[tuple[str, Record]]:
        """Of a service, until the end of what there is."""
        with start([*ASK, *options, f"{self._stack}_{service}"], environment) as process:
            try:
                for line in process.stdout or ():
                    if read := self.read(text_of(line)):
                        yield read
            finally:
                process.kill()


def text_of(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def label(stack: str, service: str, slot: str, node: str) -> str:
    """app-2@node1; nginx@node1, of which a node has one."""
    name = service.removeprefix(f"{stack}_")
    return f"{name}@{node}" if slot == "0" else f"{name}-{slot}@{node}"


class Feed:
    """The logs of some services of the stack, as kit.logs.command prints them."""

    def __init__(self, stack: Stack, services: Sequence[str], wanted: Sequence[str]) -> None:
        """`wanted`: those that may come later; empty: all."""
        self._stack, self._services, self._wanted = stack, services, wanted
        self._last: dict[str, datetime] = {}
        """By the task."""
        self._labels: set[str] = set()

    def history(self, wanted: Choice) -> Iterator[Record]:
        found = []
        for service in self._services:
            for task, record in Reader(self._stack.name).read_all(service, wanted.history, self._stack.environment):
                self._last[task] = max(record.time, self._last.get(task, record.time))
                self._labels.add(record.container)
                found.append(record)
        # only now: a traceback says what the line above it is
        return iter(sorted((each for each in found if wanted.wants(each)), key=lambda record: record.time))

    def labels(self) -> list[str]:
        return list(self._labels)

    def following(self) -> AbstractContextManager["queue.SimpleQueue[Record]"] | None:
        return self._follow()

    @contextlib.contextmanager
    def _follow(self) -> Iterator["queue.SimpleQueue[Record]"]:
        following = Services(self._stack, self._wanted, self._last)
        try:
            following.open(self._services)
            yield following.records
        finally:
            following.close()


class Services(Following):
    """What the tasks of services write from now on, also of those that are created later."""

    def __init__(self, stack: Stack, wanted: Sequence[str], known: Mapping[str, datetime]) -> None:
        super().__init__(stack.environment)
        self._stack, self._wanted, self._known = stack, wanted, known
        self._now = datetime.now().astimezone()

    def open(self, services: Sequence[str]) -> None:
        for service in services:
            self._run(self._copy, service, (self._now - SKEW).isoformat())
        self._run(self._watch)

    def _copy(self, service: str, since: str) -> None:
        reader = Reader(self._stack.name, self._known)
        words = [*ASK, "--follow", "--since", since, f"{self._stack.name}_{service}"]
        with self._started(words) as process:
            for line in (process and process.stdout) or ():
                if read := reader.read(text_of(line)):
                    self.records.put(read[1])

    def _watch(self) -> None:
        prefix = f"{self._stack.name}_"
        with self._started(["events", f"--since={self._now.timestamp():.9f}", *CREATED]) as process:
            for line in (process and process.stdout) or ():
                nanoseconds, _, name = text_of(line).partition(" ")
                service = name.removeprefix(prefix)
                if name.startswith(prefix) and service in (self._wanted or (service,)):
                    self._run(self._copy, service, str(int(nanoseconds) // 10**9 - SKEW.seconds))
