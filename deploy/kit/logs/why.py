"""`make why ID=...`: one request's way and times through the logs of nginx and the server, as a small timeline."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from kit import compose, containers, units
from kit.console import has_color
from kit.containers import Container
from kit.errors import KitError
from kit.logs import choice, request, show, sources
from kit.logs.records import Record
from kit.logs.request import Log, Phase, Story

BAR = 32
"""Characters of the timeline."""


def why(environment: Mapping[str, str]) -> int:
    """Exit status 1 if no log has the request."""
    wanted = identifier(environment)
    prepared = compose.prepare(environment)
    project = compose.project_name(prepared)
    found = containers.of_project(project, prepared)
    if not found:
        raise KitError(f"the compose project {project} has no containers: make up starts it")
    return print_story(wanted, [read(container, label, wanted, prepared) for container, label in _labelled(found)])


def identifier(environment: Mapping[str, str]) -> str:
    """ID. Raises KitError."""
    if given := choice.read_request_id(environment.get("ID", "")):
        return given
    raise KitError("ID is missing: make why ID=<the X-Request-ID of a response>")


def print_story(identifier: str, logs: Sequence[Log]) -> int:
    story = request.tell(identifier, logs)
    if story is None:
        sys.stderr.write(f"why: no log has the request ID {identifier}; the logs: {request.reach(logs)}\n")
        return 1
    text = show.Text(has_color=has_color(sys.stdout, os.environ))
    sys.stdout.write("\n".join(lines(story, text, bar=_block(sys.stdout.encoding))) + "\n")
    return 0


def _labelled(found: list[Container]) -> Iterator[tuple[Container, str]]:
    """Those that may have lines of a request: all but the one-shot ones."""
    names = sources.labels(found)
    return ((each, names[each.identifier]) for each in found if each.service != "release")


def read(container: Container, label: str, identifier: str, environment: Mapping[str, str]) -> Log:
    wanted = choice.Choice(request_id=identifier)
    found = list(sources.read(container.identifier, label, [], environment))
    records = [record for record in found if wanted.wants(record)]
    return Log(label, container.service == "nginx", found[0].time if found else None, records)


def _block(encoding: str) -> str:
    try:
        "█".encode(encoding)
    except UnicodeError:
        return "#"
    return "█"


def lines(story: Story, text: show.Text, *, bar: str = "█") -> Iterator[str]:
    yield show.clean(story.heading)
    if story.phases:
        yield ""
        yield text.paint("2", f"{'after':>9} {'took':>9}  ")
    for phase in story.phases:
        yield _row(phase, story.total, text, bar)
    if story.others:
        yield ""
    for record in story.others:
        yield from _other(record, story, text)
    if story.notes:
        yield ""
    yield from (show.clean(note) for note in story.notes)


def _row(phase: Phase, total: float, text: show.Text, bar: str) -> str:
    drawn = text.paint({"nginx": "36", "server": "34"}[phase.who], draw(phase, total, bar))
    times = f"{units.duration(phase.start):>9} {units.duration(phase.duration):>9}"
    return f"{times}  {drawn}  {phase.who:<6} {show.clean(phase.text)}".rstrip()


def draw(phase: Phase, total: float, bar: str) -> str:
    """At least one character, within BAR."""
    scale = BAR / total if total > 0 else 0.0
    start = min(max(0, int(phase.start * scale)), BAR - 1)
    end = min(max(start + 1, round((phase.start + phase.duration) * scale)), BAR)
    return f"{'':{start}}{bar * (end - start)}{'':{BAR - end}}"


def _other(record: Record, story: Story, text: show.Text) -> Sequence[str]:
    after = units.duration(max(0.0, (record.time - story.begin).total_seconds()))
    color = show.OF_LEVEL[record.level]
    if record.is_continued:
        return [f"{'':9}  {text.paint(color, show.clean(line))}" for line in record.text.splitlines() or [""]]
    first, *rest = record.text.splitlines() or [""]
    head = f"{after:>9}  {record.container} {record.level}: {text.paint(color, show.clean(first))}"
    return [head, *(f"{'':9}  {show.clean(line)}" for line in rest)]
