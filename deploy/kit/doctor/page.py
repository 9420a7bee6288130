"""Findings about what visitors get: the page `/`, a maintenance that is on, uploads that are refused."""

from collections.abc import Mapping, Sequence

from kit.doctor.findings import Findings, Topic
from kit.release.page import REFUSED, TIMEOUT, cause, fails
from kit.variables import read

FEW = 3
"""So many paths are named."""


def check_page(statuses: Mapping[str, int], log: str, values: Mapping[str, str], *, is_maintained: bool) -> Findings:
    """`statuses`: of the response to `GET /` of each container by its name, 0: none; `log`: the application's."""
    topic = Topic("page")
    if is_maintained:
        yield topic.note("the maintenance is on: visitors get its page", "make maintenance OFF")
    fine = sorted({status for status in statuses.values() if status and not fails(status)})
    for name, status in statuses.items():
        if not status:
            yield topic.warning(f"{name} does not answer the page / within {TIMEOUT} s", "make logs SERVICE=app")
        elif fails(status):
            why = cause(status, log, values)
            mend = (
                "docs/deployment.md, Domain names: the lines for the settings; then make deploy"
                if status == REFUSED
                else "make logs, or make rollback"
            )
            yield topic.error(f"{name} answers the page / with {status}{f': {why}' if why else ''}", mend)
    if len(fine) and len(fine) == len(set(statuses.values())):
        yield topic.ok(f"the page / is answered with {' or '.join(map(str, fine))}")


def check_uploads(too_large: Sequence[str], values: Mapping[str, str]) -> Findings:
    """`too_large`: the targets of requests whose body nginx has refused."""
    topic = Topic("uploads")
    limits = {name: read(name, values) for name in ("MAX_BODY_SIZE", "UPLOAD_SIZE")}
    if not too_large:
        yield topic.ok("none was too large, as far as nginx's log goes back")
        return
    paths = list(dict.fromkeys(target.partition("?")[0] for target in too_large))
    count = "once" if len(too_large) == 1 else f"{len(too_large)} times"
    more = ", ..." if len(paths) > FEW else ""
    first, most = limits["MAX_BODY_SIZE"], limits["UPLOAD_SIZE"]
    yield topic.warning(
        f"nginx has refused a body as too large (413) {count}, at {', '.join(paths[:FEW])}{more}",
        f"UPLOAD_PATHS in .env: the paths that take {most} instead of {first}, or a larger UPLOAD_SIZE; then make up",
    )
