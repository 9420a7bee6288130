"""deploy/app/crontab.py: the lines of a crontab."""

from datetime import UTC, datetime

import pytest

import crontab

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


def test_lines_have_times_commands_and_names():
    jobs = crontab.read(
        "# sessions\n"
        "30 3 * * *  python manage.py clearsessions\n\n"
        "@hourly cd /app && flask --app shop send-mails | tee -a /data/log\n"
    )
    assert [(job.name, job.schedule, job.line) for job in jobs] == [
        ("clearsessions", "30 3 * * *", 2),
        ("send-mails", "0 * * * *", 4),
    ]
    assert jobs[1].command == "cd /app && flask --app shop send-mails | tee -a /data/log"
    assert [job.due_after(NOON).isoformat() for job in jobs] == [
        "2026-03-29T03:30:00+00:00",
        "2026-03-28T13:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python3.13 -W error manage.py send_queued", "send_queued"),
        ("/usr/bin/env DEBUG=1 python manage.py send_queued --all", "send_queued"),
        ("python scripts/report.py", "report"),
        ("'/srv/my script' now", "my-script"),
        ("echo 'unclosed", "echo"),
        ("python", "python"),
    ],
)
def test_name_says_what_the_command_does(command, name):
    assert crontab.name_of(command) == name


def test_names_are_unique():
    jobs = crontab.read("@daily sync a\n@daily sync b\n@daily sync c\n")
    assert [job.name for job in jobs] == ["sync", "sync-2", "sync-3"]


def test_variables_and_time_zone_hold_for_the_lines_below():
    first, second = crontab.read("5 2 * * * a\nCRON_TZ=Europe/Berlin\nGREETING = 'hello you'\n5 2 * * * b\n")
    assert first.variables == {}
    assert second.variables == {"CRON_TZ": "Europe/Berlin", "GREETING": "hello you"}
    assert first.due_after(NOON).astimezone(UTC).hour == 2
    # in the night in which the clocks go forward, 02:05 does not exist: it runs at the next moment
    assert second.due_after(NOON).astimezone(UTC).isoformat() == "2026-03-29T01:00:00+00:00"
    assert second.due_after(datetime(2026, 4, 1, tzinfo=UTC)).astimezone(UTC).isoformat() == "2026-04-01T00:05:00+00:00"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no line with a time and a command, such as: 30 3 * * * python manage.py clearsessions"),
        ("# nothing", "has no line with a time and a command, such as: 30 3 * * * python manage.py clearsessions"),
        ("61 * * * * a", "line 1: '61 * * * *': bad minute"),
        ("\n* * * * *", "line 2: '* * * * *': must be five fields, or a word such as @daily, and a command"),
        ("@often a", f"line 1: '@often': must be one of {', '.join(crontab.WORDS)}"),
        ("0 0 30 2 * a", "line 1: '0 0 30 2 *': bad day-of-month"),
        ("CRON_TZ=Berlin\n@daily a", "line 1: CRON_TZ='Berlin': must be a time zone, such as Europe/Berlin"),
        ("CRON_TZ=../../etc/passwd", "line 1: CRON_TZ='../../etc/passwd': must be a time zone, such as Europe/Berlin"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, reason):
    with pytest.raises(crontab.CrontabError) as raised:
        crontab.read(text)
    assert str(raised.value) == reason
