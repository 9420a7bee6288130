"""deploy/kit/doctor/machine.py: findings about disks, clocks, images, certificates and the database."""

from datetime import UTC, datetime, timedelta

import pytest

from kit.doctor import machine
from kit.doctor.findings import Severity
from tests.kit.command.doctor.test_settings import said

GIGABYTE = 10**9
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def folder(path, size, free, files=1000, files_free=900):
    return {
        "path": path,
        "size": int(size * GIGABYTE),
        "free": int(free * GIGABYTE),
        "files": files,
        "files_free": files_free,
    }


@pytest.mark.parametrize(
    ("folders", "severities"),
    [
        ([folder("/", 200, 100), folder("/data", 200, 100)], ["ok"]),
        ([folder("/", 200, 5)], ["error"]),
        ([folder("/", 200, 15), folder("/data", 200, 15)], ["warning"]),
        ([folder("/", 200, 15), folder("/data", 100, 0.1)], ["warning", "error"]),
        ([folder("/", 200, 15), folder("/data", 200, 15.01), folder("/srv/postgres", 200, 14.9)], ["warning"]),
        ([folder("/", 200, 100), folder("/srv/postgres", 10, 0)], ["error"]),
        ([folder("/", 200, 100, 1000, 10)], ["warning"]),
        ([folder("/tmp", 0.4, 0.01)], ["warning"]),
        ([folder("/dev/shm", 0.1, 0.0)], ["ok"]),
        ([folder("/", 0, 0)], ["ok"]),
    ],
)
def test_disks(folders, severities):
    assert [severity for severity, _ in said(machine.check_disks(folders))] == severities


def test_room_that_is_full_names_its_variable():
    (finding,) = machine.check_disks([folder("/srv/responses", 0.1, 0.0)], "nginx")
    assert finding.mend.startswith("raise RESPONSE_ROOM")


@pytest.mark.parametrize(
    ("theirs", "synchronized", "severity"),
    [(100.5, None, "ok"), (100, True, "ok"), (100, False, "warning"), (160, True, "warning"), (40, None, "warning")],
)
def test_clock(theirs, synchronized, severity):
    assert said(machine.check_clock(100, theirs, synchronized))[0][0] == severity


@pytest.mark.parametrize(("days", "severity"), [(2, "ok"), (31, "warning")])
def test_age_of_an_image(days, severity):
    assert said(machine.check_image("app", NOW - timedelta(days=days), NOW))[0][0] == severity


LISTED = """\
Listing...
libc6/stable-security 2.41-13 amd64 [upgradable from: 2.41-12]
tzdata/stable-updates 2026a-1 all [upgradable from: 2025b-4]
"""


@pytest.mark.parametrize(
    ("output", "finding"),
    [
        (LISTED, ("warning", "app: 1 security updates are pending (libc6)")),
        (LISTED.replace("-security", ""), ("note", "app: 2 updates are pending (libc6, tzdata)")),
        ("Listing...\n", ("ok", "Debian's packages in app are up to date")),
        (None, ("note", "updates of Debian's packages in app: not known: no package server has answered")),
    ],
)
def test_updates(output, finding):
    assert said(machine.check_updates("app", output)) == [finding]


def certificate(expiry, issuer="O=Trusted", names="DNS:www.example.org, DNS:*.shop.example"):
    lines = [f"notAfter={expiry}", f"issuer={issuer}", "subject=CN=www.example.org"]
    return "\n".join([*lines, "X509v3 Subject Alternative Name: ", f"    {names}", ""])


def check(expiry, *, names="_", public=True, **certificates):
    return said(machine.check_certificate(certificate(expiry, **certificates), NOW, names, public=public))


def test_certificate_that_is_valid():
    assert check("Feb  1 08:29:35 2027 GMT", names="www.example.org a.shop.example .x ~y 192.0.2.1") == [
        ("ok", "the certificate is valid, until 2027-02-01 (64 days)")
    ]


@pytest.mark.parametrize(
    ("expiry", "text"),
    [
        ("Nov 28 00:00:00 2026 GMT", ("error", "the certificate expired on 2026-11-28")),
        ("Dec  5 00:00:00 2026 GMT", ("warning", "the certificate expires in 6 days")),
        ("nonsense", ("note", "the certificate: not known: nginx has none that openssl can read")),
    ],
)
def test_certificate_that_ends(expiry, text):
    assert check(expiry) == [text]


def test_self_signed_certificate_matters_only_for_others():
    itself = {"issuer": "CN=www.example.org"}
    assert check("Feb  1 08:29:35 2027 GMT", **itself)[0][0] == "warning"
    assert check("Feb  1 08:29:35 2027 GMT", public=False, **itself) == [
        ("ok", "the certificate is self-signed, for this machine alone, until 2027-02-01 (64 days)")
    ]


def test_certificate_for_other_names():
    assert check("Feb  1 08:29:35 2027 GMT", names="www.example.org other.example") == [
        ("warning", "the certificate is not for other.example")
    ]


@pytest.mark.parametrize(
    ("status", "output", "severity"),
    [
        (None, "", "note"),
        (0, "", "ok"),
        (1, "Running migrations ...\n  [ ] 0003_more", "error"),
        (1, "Traceback ...\ndjango.db.utils.OperationalError: no route\n", "error"),
        (124, "", "error"),
    ],
)
def test_database(status, output, severity):
    assert said(machine.check_database(status, output))[0][0] == severity


@pytest.mark.parametrize(
    ("vendors", "severity"), [(None, "ok"), (["sqlite"], "warning"), (["sqlite", "postgresql"], "ok")]
)
def test_server_that_the_project_does_not_use_is_said(vendors, severity):
    ((found, what),) = said(machine.check_database(0, "", vendors=vendors))
    assert found == severity
    assert ("profile postgres" in what) == (severity == "warning")


def test_reason_of_the_database_is_said():
    ((_, what),) = said(machine.check_database(1, "Traceback\ndjango.db.utils.OperationalError: no route\n"))
    assert what == "it cannot be used: django.db.utils.OperationalError: no route"


@pytest.mark.parametrize(
    ("days", "has_schedule", "severity"),
    [
        (None, False, Severity.NOTE),
        (0, False, Severity.OK),
        (6, False, Severity.OK),
        (7, False, Severity.WARNING),
        (1, True, Severity.OK),
        # it makes one each day
        (2, True, Severity.WARNING),
    ],
)
def test_backups(days, has_schedule, severity):
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    newest = None if days is None else now - timedelta(days=days)
    (finding,) = machine.check_backups(newest, now, has_schedule=has_schedule)
    assert finding.severity is severity
    assert (finding.mend == "") is (severity is Severity.OK)


def test_database_is_mended_in_the_file_that_decides():
    (found,) = machine.check_database(124, "", {"DATABASE_URL"})
    assert found.mend == "DATABASE_URL in .env.project; on another machine it needs OUTBOUND"
