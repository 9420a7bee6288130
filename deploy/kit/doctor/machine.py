"""Findings about disks, clocks, images, the certificate and the database."""

import ipaddress
import re
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

from kit import env_files, units
from kit.doctor.findings import Finding, Findings, Topic

MEGABYTE = 10**6
VOLUMES = {
    "/": "the engine's disk",
    "/data": "the data volume",
    "/srv/media": "the media volume",
    "/srv/postgres": "the volume of PostgreSQL",
    "/srv/redis": "the volume of Redis",
}
SAME = 0.01
"""Of the size: two folders whose free space differs by less are on one disk, asked one after the other."""
ROOMS = {
    "/tmp": "BODY_ROOM",
    "/srv/bodies": "BODY_ROOM",
    "/srv/responses": "RESPONSE_ROOM",
}
"""In memory: a full one refuses requests; the variable is its size."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
EXPIRES_SOON = 14  # days: ACME renews in the last third of 90
OLD_BACKUP = 7  # days
OLD_IMAGE = 30  # days: Debian publishes security updates every few days


def check_backups(newest: datetime | None, now: datetime, *, has_schedule: bool) -> Findings:
    """`newest`: when the newest backup was made that this machine has; None for none."""
    topic = Topic("backups")
    mend = "make logs SERVICE=backup" if has_schedule else "make backup, or COMPOSE_PROFILES=backup in .env"
    if newest is None:
        yield topic.note("there is none yet", mend)
        return
    days = (now - newest).days
    text = f"the newest is from {newest:%Y-%m-%d %H:%M} UTC"
    limit = 2 if has_schedule else OLD_BACKUP
    yield topic.warning(f"{text}, {days} days ago", mend) if days >= limit else topic.ok(text)


def check_disks(folders: Sequence[Mapping[str, Any]], who: str = "the application") -> Findings:
    """`folders`: as inside.folder has them."""
    topic = Topic("disk")
    problems: list[Finding] = []
    seen: list[tuple[int, int]] = []
    for folder in folders:
        path, size, free = folder["path"], folder["size"], folder["free"]
        if not size or any(size == other and abs(free - left) <= SAME * size for other, left in seen):
            continue
        share = free / size
        if path in ROOMS:
            if share < 0.2:
                text = f"{path} of {who} has {units.size(free)} of {units.size(size)} left: large requests are refused"
                problems.append(topic.warning(text, f"raise {ROOMS[path]} and the memory limit in .env, then make up"))
        elif path in VOLUMES:
            seen.append((size, free))  # several volumes on one disk
            text = f"{VOLUMES[path]} has {units.size(free)} of {units.size(size)} left"
            if share < 0.03 or free < 300 * MEGABYTE:
                problems.append(topic.error(text, "make prune, or a larger disk: databases stop when it is full"))
            elif share < 0.1 or free < 2000 * MEGABYTE:
                problems.append(topic.warning(text, "make prune, or a larger disk"))
            elif folder["files"] and folder["files_free"] / folder["files"] < 0.05:
                problems.append(topic.warning(f"{VOLUMES[path]} has few inodes left", "remove many small files"))
    yield from problems
    if not problems:
        main = next((folder for folder in folders if folder["path"] == "/"), None)
        yield topic.ok(
            f"{units.size(main['free'])} of {units.size(main['size'])} left on the engine's disk"
            if main
            else f"the rooms of {who} have space"
        )


def check_clock(ours: float, theirs: float, synchronized: bool | None) -> Findings:
    """Both in seconds since 1970, taken together; `synchronized`: what this machine's own service says."""
    topic = Topic("clock")
    difference = theirs - ours
    if abs(difference) > 5:
        yield topic.warning(
            f"the engine's clock is {units.duration(abs(difference))} {'ahead' if difference > 0 else 'slow'}",
            "run an NTP client on both machines: logs, sessions and certificates depend on it",
        )
    elif synchronized is False:
        yield topic.warning("the clock is not synchronized", "timedatectl set-ntp true")
    else:
        yield topic.ok("the clock is right" if synchronized else "this machine and the engine agree")


def check_image(service: str, created: datetime, now: datetime) -> Findings:
    topic = Topic("images")
    age = (now - created).days
    if age > OLD_IMAGE:
        yield topic.warning(f"the image of {service} is {age} days old: without the updates since", "make update")
    else:
        yield topic.ok(f"the image of {service} is {units.duration((now - created).total_seconds())} old")


def check_updates(service: str, output: str | None) -> Findings:
    """`output`: of `apt list --upgradable` in the image; None: no package server has answered."""
    topic = Topic("updates")
    if output is None:
        yield topic.unknown(f"updates of Debian's packages in {service}", "no package server has answered")
        return
    pending = re.findall(r"^([^/\s]+)/(\S+) \S+ .*upgradable", output, re.MULTILINE)
    security = [name for name, suite in pending if "security" in suite]
    names = ", ".join((security or [name for name, _ in pending])[:5])
    if security:
        yield topic.warning(f"{service}: {len(security)} security updates are pending ({names})", "make update")
    elif pending:
        yield topic.note(f"{service}: {len(pending)} updates are pending ({names})", "make update")
    else:
        yield topic.ok(f"Debian's packages in {service} are up to date")


def read_expiry(text: str) -> datetime | None:
    """From openssl's `notAfter=Dec 31 08:29:35 2027 GMT`, whatever the locale."""
    match = re.search(r"notAfter=(\w{3}) +(\d+) (\d\d:\d\d:\d\d) (\d{4}) GMT", text)
    if not match or match[1] not in MONTHS:
        return None
    return datetime.fromisoformat(f"{match[4]}-{MONTHS.index(match[1]) + 1:02}-{int(match[2]):02}T{match[3]}+00:00")


def check_certificate(text: str, now: datetime, names: str, *, public: bool) -> Findings:
    """`text`: what openssl prints of the certificate in use (end, issuer, subject, names); `names`: those that visitors
    use."""
    topic = Topic("certificate")
    expiry = read_expiry(text)
    if expiry is None:
        yield topic.unknown("the certificate", "nginx has none that openssl can read")
        return
    days = (expiry - now).days
    issuer, subject = (re.search(rf"{part}=(.*)", text) for part in ("issuer", "subject"))
    is_self_signed = bool(issuer and subject and issuer[1].strip() == subject[1].strip())
    if expiry <= now:
        yield topic.error(
            f"the certificate expired on {expiry:%Y-%m-%d}", "renew it in TLS_DIR; make logs SERVICE=acme"
        )
    elif days < EXPIRES_SOON:
        yield topic.warning(f"the certificate expires in {days} days", "renew it in TLS_DIR; make logs SERVICE=acme")
    if is_self_signed and public:
        yield topic.warning(
            "the certificate is self-signed, and other machines reach the site: browsers warn",
            "COMPOSE_PROFILES=acme with SERVER_NAME and ACME_EMAIL in .env, or your own in TLS_DIR, then make up",
        )
    missing = [name for name in names.split() if is_host_name(name) and not covers(text, name)]
    if missing and expiry > now:
        yield topic.warning(
            f"the certificate is not for {', '.join(missing)}",
            "obtain one for all names of SERVER_NAME and REDIRECT_HOSTS",
        )
    elif expiry > now and days >= EXPIRES_SOON and not (is_self_signed and public):
        kind = "self-signed, for this machine alone" if is_self_signed else "valid"
        yield topic.ok(f"the certificate is {kind}, until {expiry:%Y-%m-%d} ({days} days)")


def is_host_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." in name and not name.startswith((".", "~", "*")) and "*" not in name
    return False


def covers(text: str, name: str) -> bool:
    """Whether the certificate's names have it, also by a wildcard."""
    known = {found.lower() for found in re.findall(r"DNS:([^\s,]+)", text)}
    return name.lower() in known or f"*.{name.lower().partition('.')[2]}" in known


def check_database(
    status: int | None, output: str, own: Container[str] = (), vendors: Container[str] | None = None
) -> Findings:
    """`status` and `output`: of `manage.py migrate --check`; None: the project has no manage.py; `own`: the names in
    .env.project; `vendors`: of Django's databases, if the profile postgres is on."""
    topic = Topic("database")
    said = " ".join((output.strip().splitlines() or ["no reason"])[-1].split())[:200]
    line = f"DATABASE_URL in {env_files.decider('DATABASE_URL', own)}"
    if status is None:
        yield topic.note("not known: the project has no manage.py")
    elif status == 0 and vendors is not None and "postgresql" not in vendors:
        yield topic.warning(
            "the profile postgres is on, and the project uses another database",
            "DATABASES in the settings has to read DATABASE_URL or PGDATABASE (docs/data.md); then make deploy",
        )
    elif status == 0:
        yield topic.ok("it answers, and all migrations are applied")
    elif status in (124, 137):
        yield topic.error("it does not answer within 30 s", f"{line}; on another machine it needs OUTBOUND")
    elif status == 1 and "Error" not in said and "Exception" not in said:
        yield topic.error("it answers, but migrations are missing", 'make up, or make manage CMD="migrate"')
    else:
        yield topic.error(f"it cannot be used: {said}", f"{line}; make logs SERVICE=release")
