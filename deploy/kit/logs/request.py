"""What the logs say about one request: when it was where, and what is missing. No docker here.

Positions are seconds since nginx had the first octet of the request. nginx gives durations, and the engine's time of
its line is the end of the request; the server gives durations and its own end. `queue` says when nginx had the whole
request, which joins the two.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit import units
from kit.logs.records import Access, Record, number, read_time

ALONE = {
    2: "a file",
    3: "a redirect, or a file that has not changed",
    429: "more requests or connections than RATE_LIMIT, CONNECTION_LIMIT, BODY_LIMIT or UPLOAD_LIMIT allow",
    413: "a body larger than MAX_BODY_SIZE allows, or UPLOAD_SIZE for the paths in UPLOAD_PATHS",
    408: "the client did not send its request in time",
    499: "the client closed the connection first",
    502: "no container of the application accepted the connection",
    503: "maintenance, or no application yet",
}
"""Why nginx responds without the application, by status or its first digit."""


@dataclass(frozen=True, slots=True)
class Log:
    """What one container's log has of the request."""

    container: str
    is_nginx: bool
    oldest: datetime | None
    """Of its lines, whichever request they are of; None: there are none."""
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Phase:
    start: float
    duration: float
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    heading: str
    begin: datetime
    """When nginx had the first octet; without nginx's line, when the server called the application."""
    total: float
    """Seconds."""
    phases: Sequence[Phase]
    others: Sequence[Record]
    """Lines that are no access lines: errors, and what the application logged."""
    notes: Sequence[str]
    """What is missing, and why."""


def tell(identifier: str, logs: Sequence[Log]) -> Story | None:
    """None if no log has the request."""
    front = [record for log in logs if log.is_nginx for record in log.records if record.access]
    back = [record for log in logs if not log.is_nginx for record in log.records if record.access]
    others = [record for log in logs for record in log.records if not record.access]
    others.sort(key=lambda record: record.time)
    first = front[-1] if front else None
    served = back[-1] if back else None
    notes = []
    if len(front) > 1:
        notes.append(f"{len(front)} requests came with this ID, since a proxy sent it again; this is the last one")
    if first and first.access:
        access = first.access
        total = access.seconds or 0.0
        begin = first.time - timedelta(seconds=total)
        phases = list(_through_nginx(access, begin, served))
        notes += _notes_of_nginx(access, first.time, served, logs)
        heading = _heading(access, str(access.fields.get("scheme", "")), total, identifier)
    elif served and served.access:
        phases = list(_in_server(served.access, _wait(served.access)))
        total = sum(phase.duration for phase in phases)
        begin = _end(served) - timedelta(seconds=total)
        notes.append(_why_not(logs, served.time, is_nginx=True))
        heading = _heading(served.access, str(served.access.fields.get("scheme", "")), total, identifier)
    elif others:
        begin, total, phases = others[0].time, 0.0, []
        notes += [_why_not(logs, begin, is_nginx=True), _why_not(logs, begin, is_nginx=False)]
        heading = f"Request {identifier}"
    else:
        return None
    return Story(heading, begin, total, phases, others, notes)


def _heading(access: Access, scheme: str, total: float, identifier: str) -> str:
    host = str(access.fields.get("host", ""))
    place = f"{scheme}://{host}{access.target}" if scheme and host else access.target
    client = f" from {access.client}" if access.client else ""
    return f"{access.method} {place}{client}: {access.status} after {units.duration(total)} (request ID {identifier})"


# --- The way through nginx


def _through_nginx(access: Access, begin: datetime, served: Record | None) -> Iterator[Phase]:
    total = access.seconds or 0.0
    attempts = _attempts(access)
    upstream = sum(attempt.seconds for attempt in attempts)
    received = _received(begin, served, total - upstream)
    octets = number(access.fields.get("request_bytes"))
    what = f"receives the request, {units.size(octets)}" if octets else "receives the request"
    if not attempts:
        yield Phase(0.0, total, "nginx", f"responds by itself, {units.size(access.size)}")
        return
    if received is None:
        yield Phase(0.0, max(0.0, total - upstream), "nginx", f"{what}, and sends the response")
    else:
        yield Phase(0.0, received, "nginx", what)
    at = received or 0.0
    for attempt in attempts[:-1]:
        yield Phase(at, attempt.seconds, "nginx", f"tries {attempt.address}: {attempt.outcome}")
        at += attempt.seconds
    last = attempts[-1]
    if last.connect is None:
        yield Phase(at, last.seconds, "nginx", f"tries {last.address}: {last.outcome}")
    else:
        yield Phase(at, last.connect, "nginx", f"connects to {last.address}")
        if served and served.access:
            yield from _in_server(served.access, at, last.connect)
        yield from _response(last, at)
    if received is not None:
        rest = total - received - upstream
        yield Phase(
            at + last.seconds, max(0.0, rest), "nginx", f"sends the rest to the client, {units.size(access.size)}"
        )


def _response(last: "Attempt", at: float) -> Iterator[Phase]:
    if last.header is None:
        yield Phase(at, last.seconds, "nginx", f"waits for the response: {last.outcome}")
    else:
        yield Phase(at + last.header, last.seconds - last.header, "nginx", "receives the response from its head on")


def _received(begin: datetime, served: Record | None, most: float) -> float | None:
    """When nginx had the whole request; None if the server does not say."""
    queue = served and served.access and number(served.access.fields.get("queue"))
    if served is None or served.access is None or not isinstance(queue, float):
        return None
    handed = _end(served) - timedelta(seconds=(served.access.seconds or 0.0) + queue)
    return min(max(0.0, (handed - begin).total_seconds()), max(0.0, most))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One container that nginx has tried."""

    address: str
    status: str
    connect: float | None
    header: float | None
    seconds: float

    @property
    def outcome(self) -> str:
        if self.connect is None:
            return "no connection"
        return "no response" if self.header is None else f"status {self.status}"


def _attempts(access: Access) -> list[Attempt]:
    """nginx lists them with ", " between them, or " : " after an internal redirect; "-" is no value."""
    columns = [
        re.split(r", | : ", str(access.fields.get(name, "")))
        for name in ("upstream", "upstream_status", "upstream_connect", "upstream_header", "upstream_seconds")
    ]
    attempts = []
    for at, address in enumerate(columns[0]):
        if address and address != "-":
            status, connect, header, seconds = (column[at] if at < len(column) else "" for column in columns[1:])
            attempts.append(Attempt(address, status, number(connect), number(header), number(seconds) or 0.0))
    return attempts


# --- In the server


def _in_server(access: Access, start: float, connect: float = 0.0) -> Iterator[Phase]:
    """`start` is when nginx had the request, `connect` how long it then took to connect. The call of the application is
    `queue` after the start."""
    fields = access.fields
    worker = f" in worker {fields['pid']}" if "pid" in fields else ""
    application = number(fields.get("application"))
    if application is None:
        yield Phase(start, access.seconds or 0.0, "server", f"handles the request{worker}")
        return
    waiting = number(fields.get("waiting")) or 0.0
    receiving = number(fields.get("receiving")) or 0.0
    queue = number(fields.get("queue"))
    call = start + (waiting + receiving if queue is None else queue)
    if queue is not None and (before := call - waiting - receiving - start - connect) > 0:
        yield Phase(start + connect, before, "server", "has not accepted it yet (on the way, or in the backlog)")
    if receiving:
        yield Phase(call - waiting - receiving, receiving, "server", "receives the request")
    yield Phase(call - waiting, waiting, "server", "has it wait for a thread")
    yield Phase(call, application, "server", f"runs the application{worker}")
    sent = "sends the response" + (", which nginx did not take completely" if fields.get("aborted") else "")
    yield Phase(call + application, number(fields.get("sending")) or 0.0, "server", sent)


def _wait(access: Access) -> float:
    """Where the server's own phases start if nothing is known of nginx."""
    queue, waiting = number(access.fields.get("queue")), number(access.fields.get("waiting")) or 0.0
    return 0.0 if queue is None else min(0.0, waiting - queue)


def _end(served: Record) -> datetime:
    """The server's own time, since its access log is written a moment later."""
    assert served.access
    return read_time(str(served.access.fields.get("time", ""))) or served.time


# --- What is missing


def _notes_of_nginx(access: Access, end: datetime, served: Record | None, logs: Sequence[Log]) -> Iterator[str]:
    if hint := access.fields.get("hint"):
        yield f"nginx: {hint}"
    if not _attempts(access):
        reason = ALONE.get(access.status) or ALONE.get(access.status // 100)
        yield "nginx responded without the application" + (f": {reason}" if reason else "")
    else:
        if access.status == 499:
            yield f"499: {ALONE[499]}"
        if served is None:
            yield _why_not(logs, end, is_nginx=False)


def _why_not(logs: Sequence[Log], time: datetime, *, is_nginx: bool) -> str:
    """Why the logs of nginx, or of the server, have no access line of a request at that time."""
    name = "nginx" if is_nginx else "the server"
    oldest = [log.oldest for log in logs if log.is_nginx == is_nginx and log.oldest]
    if not oldest:
        return f"the log of {name} is empty, or its container is gone"
    if min(oldest) > time:
        return f"the log of {name} has no line of then: it starts at {local(min(oldest))} (rotated, or a new container)"
    if is_nginx:
        return "nginx's log has no line with this ID: the request is not complete yet, or did not come through nginx"
    return "the server's log has no line with this ID: it did not receive the request, or has not completed it"


def reach(logs: Sequence[Log]) -> str:
    """How far back the logs go, for an ID that none of them has."""
    starts = [f"{log.container} from {local(log.oldest)} on" for log in logs if log.oldest]
    return ", ".join(starts) or "none has a line"


def local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
