"""Findings about what visitors get: the page `/`, and a maintenance that is on."""

from collections.abc import Mapping

from kit.doctor.findings import Findings, Topic
from kit.release.page import REFUSED, TIMEOUT, cause, fails


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
