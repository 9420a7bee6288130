"""`make doctor`: asks, and prints the findings topic by topic."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from kit.console import has_color
from kit.doctor import containers, machine, page, settings
from kit.doctor.findings import Finding, Findings, Severity, Topic, has_errors
from kit.doctor.probes import Site, is_debugging, is_synchronized
from kit.errors import KitError
from kit.logs.show import clean
from kit.variables import read

COLORS = {Severity.OK: "32", Severity.NOTE: "36", Severity.WARNING: "33", Severity.ERROR: "1;31"}
TOPIC_WIDTH = 14
ERASE = "\r\033[K"
"""The terminal's line."""

Check = Callable[[Site], Findings]
AnySite = TypeVar("AnySite", bound=Site)


def doctor(environment: Mapping[str, str], *, as_json: bool = False) -> int:
    """Exit status 1 if there is an error."""
    return report(lambda progress: examine(environment, progress), as_json=as_json)


def report(found_by: Callable[[Callable[[str], None]], Iterator[Finding]], *, as_json: bool) -> int:
    """Prints each finding as it is found. `found_by` gets what it calls with each check's name before that begins."""
    found = []
    shows_progress = not as_json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    for finding in found_by(show_progress if shows_progress else lambda _: None):
        found.append(finding)
        sys.stdout.write(ERASE * shows_progress)
        sys.stdout.write((to_json(finding) if as_json else "\n".join(lines(finding, color=_color()))) + "\n")
        sys.stdout.flush()
    if not as_json:
        sys.stdout.write(f"\n{summary(found)}\n")
    return 1 if has_errors(found) else 0


def show_progress(name: str) -> None:
    """A line that the next finding replaces: a check may wait for servers elsewhere."""
    sys.stdout.write(f"{ERASE}... {name}")
    sys.stdout.flush()


def _color() -> bool:
    return has_color(sys.stdout, os.environ)


def examine(environment: Mapping[str, str], progress: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    """`progress` is called with the name of each check before it begins."""
    yield from examine_site(lambda: Site(environment), CHECKS, progress)


def examine_site(
    make: Callable[[], AnySite], checks: Mapping[str, Callable[[AnySite], Findings]], progress: Callable[[str], None]
) -> Iterator[Finding]:
    progress("configuration")
    try:
        site = make()
    except KitError as error:
        yield Topic("configuration").error(str(error), "correct it; then make doctor again")
        return
    with contextlib.suppress(KitError):  # a check will say so
        site.ask_ahead()
    for name, check in checks.items():
        progress(name)
        yield from guarded(name, check, site)


def guarded(name: str, check: Callable[[AnySite], Findings], site: AnySite) -> Iterator[Finding]:
    """A probe that fails is a finding too."""
    try:
        yield from check(site)
    except Exception as error:  # noqa: BLE001 - whatever the answers of engine and project look like
        reason = str(error) if isinstance(error, KitError) else f"{type(error).__name__}: {error}"
        yield Topic(name).note(f"not checked: {' '.join(reason.split())[:200]}")


def print_finding(finding: Finding) -> None:
    """As text."""
    sys.stdout.write("\n".join(lines(finding, color=_color())) + "\n")
    sys.stdout.flush()


def _django(site: Site) -> Findings:
    check = site.django_check
    if check is None:
        yield Topic("check --deploy").ok("the project has no manage.py")
    elif is_debugging(check) is None:
        last = (check.strip().splitlines() or ["it printed nothing"])[-1]
        yield Topic("check --deploy").error(f"Django's check fails: {last[:200]}", 'make manage CMD="check --deploy"')
    else:
        yield from settings.check_django(
            check,
            site.values,
            site.fixed_settings,
            public=settings.is_public(site.values),
            own=site.own,
            has_said=settings.codes_of_secrets(_secrets(site)),
        )


def _secrets(site: Site) -> Findings:
    public = settings.is_public(site.values)
    yield from settings.check_secrets(site.secrets, site.fixed_key, public=public, own=site.own)


def _debugging(site: Site) -> Findings:
    said = is_debugging(site.django_check)
    public = settings.is_public(site.values)
    switches = site.debug_switches
    yield from settings.check_debugging(
        site.inside["variables"], site.fixed_settings, said, public=public, switches=switches, own=site.own
    )


VENDORS = "from django.db import connections; print(*(each.vendor for each in connections.all()))"


def _database(site: Site) -> Findings:
    status, output = site.manage("migrate", "--check") if site.inside["has_manage"] else (None, "")
    vendors = None
    if status == 0 and "postgres" in site.values.get("COMPOSE_PROFILES", "").split(",") and "PGHOST" not in site.own:
        vendors = site.manage("shell", "--verbosity=0", "--command", VENDORS)[1].split()
    yield from machine.check_database(status, output, site.own, vendors)


def _disks(site: Site) -> Findings:
    yield from machine.check_disks([*site.inside["folders"], *site.servers_folders])
    yield from machine.check_disks(site.nginx[1], "nginx")


def _certificate(site: Site) -> Findings:
    if read("HTTPS", site.values) != "1":
        yield Topic("certificate").ok("HTTPS=off: a load balancer in front ends TLS")
        return
    names = " ".join(read(name, site.values) for name in ("SERVER_NAME", "REDIRECT_HOSTS")).strip()
    public = settings.is_public(site.values)
    if problem := site.issue_problem:
        mend = "the issuer must reach SERVER_NAME's names here, at port 80, and be reached; make logs SERVICE=acme"
        yield Topic("certificate").error(f"acme: {problem}", mend)
    yield from machine.check_certificate(site.certificate, datetime.now(UTC), names, public=public)


def _backups(site: Site) -> Findings:
    has_schedule = any(each.service == "backup" and each.is_running for each in site.containers)
    yield from machine.check_backups(site.newest_backup, datetime.now(UTC), has_schedule=has_schedule)


def _images(site: Site) -> Findings:
    for service in site.built:
        yield from machine.check_image(service, site.created(service), datetime.now(UTC))


def _updates(site: Site) -> Findings:
    for service in site.built:
        try:
            yield from machine.check_updates(service, site.updates(service))
        except KitError as error:
            yield Topic("updates").unknown(f"updates of Debian's packages in {service}", str(error))


CHECKS: dict[str, Check] = {
    "containers": lambda site: containers.check_states(site.containers, datetime.now(UTC)),
    "uptime": lambda site: containers.check_uptime(site.containers, datetime.now(UTC)),
    "page": lambda site: page.check_page(site.pages, site.log, site.values, is_maintained=site.is_maintained),
    "configuration": lambda site: containers.check_drift(site.containers, site.plan),
    "errors": lambda site: containers.check_errors(site.log),
    "times": lambda site: settings.check_times(site.values, site.stop_timeouts),
    "ports": lambda site: containers.check_ports(
        site.containers, public=settings.is_public(site.values), where=site.machine
    ),
    "proxies": lambda site: settings.check_proxies(
        site.values, site.inside["project"], site.proxy_hints, site.inside["variables"]
    ),
    "certificate": _certificate,
    "uploads": lambda site: page.check_uploads(site.too_large, site.values),
    "secrets": _secrets,
    "debug": _debugging,
    "check --deploy": _django,
    "database": _database,
    "disk": _disks,
    "memory": lambda site: containers.check_memory(
        site.inside, site.memory_limits, int(site.engine.get("MemTotal") or 0)
    ),
    "descriptors": lambda site: containers.check_descriptors(site.inside, site.nginx[0]),
    "clock": lambda site: machine.check_clock(site.inside["asked"], site.inside["time"], is_synchronized()),
    "backups": _backups,
    "images": _images,
    "updates": _updates,
}
"""In the order in which they are printed."""


def lines(finding: Finding, *, color: bool) -> Iterator[str]:
    mark = finding.severity.value.ljust(8)
    if color:
        mark = f"\033[{COLORS[finding.severity]}m{mark}\033[0m"
    yield f"{mark} {finding.topic:<{TOPIC_WIDTH}} {clean(finding.what)}"
    if finding.mend:
        yield f"{'':8} {'':{TOPIC_WIDTH}} mend: {clean(finding.mend)}"


def to_json(finding: Finding) -> str:
    return json.dumps(
        {
            "topic": finding.topic,
            "severity": finding.severity.value,
            "what": finding.what,
            "mend": finding.mend or None,
        }
    )


def summary(found: list[Finding]) -> str:
    counts = {severity: sum(finding.severity is severity for finding in found) for severity in Severity}
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    if not errors and not warnings:
        return "Nothing is wrong."
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}."


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
