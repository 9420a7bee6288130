"""What became of the requests, by the steps during which they were sent."""

from collections.abc import Sequence
from typing import NamedTuple

from kit.prove.traffic import Report, Request

HEAD = ("step", "seconds", "requests", "failed", "ended with what was killed", "slowest")


class Span(NamedTuple):
    """When a step ran: seconds since the start of the traffic."""

    name: str
    started: float
    ended: float
    kills_until: float | None = None
    """If the step kills something: what is on its way between its start and this ends with it, and cannot be saved."""

    def may_end(self, request: Request) -> bool:
        return (
            self.kills_until is not None
            and request.started <= self.kills_until
            and request.started + request.seconds >= self.started
        )


def split(report: Report, spans: Sequence[Span]) -> tuple[list[Request], list[Request]]:
    """The requests that were lost, and those that ended with what a step has killed."""
    lost: list[Request] = []
    died: list[Request] = []
    for request in report.failed:
        (died if any(span.may_end(request) for span in spans) else lost).append(request)
    return lost, died


def lines(report: Report, spans: Sequence[Span]) -> list[str]:
    """In Markdown. A request belongs to the step that had begun last when it ended; those before the first, to that."""
    rows = [f"| {' | '.join(HEAD)} |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    for at, span in enumerate(spans):
        since = span.started if at else 0.0
        until = spans[at + 1].started if at + 1 < len(spans) else float("inf")
        own = report._replace(requests=[each for each in report.requests if since <= _ended(each) < until])
        lost, died = split(own, spans)
        cells = (
            span.name,
            f"{span.ended - span.started:.0f}",
            f"{len(own.requests)}",
            f"{len(lost)}",
            f"{len(died)}",
            f"{own.slowest:.2f} s",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _ended(request: Request) -> float:
    return request.started + request.seconds
