"""deploy/kit/logs/records.py: what lines of the containers' logs say."""

import json

import pytest

from kit.logs.choice import Choice
from kit.logs.records import Parser, parse, read_time

STAMP = "2026-11-29T08:30:03.123456789Z"
TIME = read_time(STAMP)


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("[2026-11-29 08:29:40 +0000] [22] [INFO] Ready: 1 worker", "info", "[22] Ready: 1 worker"),
        ("[2026-11-29 08:29:40 +0000] [22] [WARNING] Refused", "warning", "[22] Refused"),
        ("2026/11/29 08:29:40 [warn] 12#12: *3 a body is buffered", "warning", "*3 a body is buffered"),
        ("2026/11/29 08:29:40 [emerg] no", "critical", "no"),
        ("2026-11-29 08:29:39,381 INFO spawned: 'backend' with pid 22", "info", "spawned: 'backend' with pid 22"),
        ("2026-11-29 08:29:39,381 CRIT no", "critical", "no"),
        ("WARNING django.request [5c0f] Not Found: /", "warning", "django.request [5c0f] Not Found: /"),
        ("ERROR:root:no", "error", "root:no"),
        ("nginx/entrypoint: warning: a large body", "warning", "nginx/entrypoint: a large body"),
        ("release: migrating", "info", "release: migrating"),
        ("Information is no level", "info", "Information is no level"),
        ('{"level":"ERROR","message":"no"}', "error", "no"),
        ('{"a":1}', "info", '{"a":1}'),
        ('{"a":', "info", '{"a":'),
        ("", "info", ""),
    ],
)
def test_level_is_found_in_each_form(line, level, text):
    record = parse(TIME, "app", line)
    assert (record.level, record.text, record.line) == (level, text, line)


def test_message_about_a_request_has_its_id():
    line = "[2026-11-29 08:29:40 +0000] [22] [ERROR] GET '/shop': the application raised KeyError (request id 5c0f)"
    assert parse(TIME, "app", line).request_id == "5c0f"


NGINX = {
    "request_id": "5c0f",
    "client": "192.0.2.7",
    "method": "GET",
    "uri": "/shop?q=1",
    "status": 502,
    "bytes": 1200,
    "seconds": 0.047,
    "upstream": "172.21.0.2:8000",
    "agent": "probe",
}


def test_access_line_of_nginx():
    record = parse(TIME, "nginx", json.dumps(NGINX))
    access = record.access
    assert (record.level, record.request_id) == ("error", "5c0f")
    assert (access.is_nginx, access.method, access.target, access.status) == (True, "GET", "/shop?q=1", 502)
    assert (access.size, access.seconds, access.client, access.agent) == (1200, 0.047, "192.0.2.7", "probe")
    assert not record.is_quiet_check


@pytest.mark.parametrize("status", [200, 404])
def test_access_line_of_ropewalk(status):
    line = {"method": "GET", "target": "/", "status": status, "bytes": 3, "seconds": 0.001, "user_agent": "probe"}
    record = parse(TIME, "app", json.dumps(line))
    assert (record.access.is_nginx, record.access.target, record.request_id) == (False, "/", "")
    assert record.is_quiet_check


GUNICORN = '172.21.0.3 - - [29/Nov/2026:08:29:41 +0000] "GET /a?b HTTP/1.1" 404 - "-" "curl/8"'


def test_access_line_of_gunicorn():
    record = parse(TIME, "app", f"{GUNICORN} 5c0f 2500 <71>")
    access = record.access
    assert (access.method, access.target, access.status, access.size) == ("GET", "/a?b", 404, 0)
    assert (access.seconds, record.request_id, access.fields["pid"]) == (0.0025, "5c0f", "71")


@pytest.mark.parametrize("line", [GUNICORN, f"{GUNICORN} - 2500 <71>", f"{GUNICORN} - 2500 <71> web-1/shop.2"])
def test_access_line_without_an_id(line):
    assert parse(TIME, "app", line).request_id == ""


def test_traceback_belongs_to_its_message():
    parser = Parser("app")
    lines = [
        "[2026-11-29 08:29:40 +0000] [22] [ERROR] GET '/': failed (request id 5c0f)",
        "Traceback (most recent call last):",
        '  File "views.py", line 1, in view',
        "",
        "shop.errors.NoSuchThing: 'price'",
        "2026-11-29 08:29:41,381 INFO spawned",
        "  two spaces",
    ]
    records = [parser.read(f"{STAMP} {line}") for line in lines]
    assert [record.is_continued for record in records] == [False, True, True, True, True, False, True]
    assert {record.request_id for record in records[:5]} == {"5c0f"}
    assert [record.level for record in records[4:]] == ["error", "info", "info"]


def test_traceback_without_a_message_is_an_error():
    parser = Parser("app")
    parser.read(f"{STAMP} spawned")
    assert parser.read(f"{STAMP} Traceback (most recent call last):").level == "error"


SEVERAL_LINES = {
    "a traceback below a line without a level": [
        "Internal Server Error: /boom",
        "Traceback (most recent call last):",
        '  File "views.py", line 1, in view',
        "ZeroDivisionError: division by zero",
    ],
    "an exception whose text has several lines": [
        "[2026-11-29 08:29:40 +0000] [22] [ERROR] GET '/': failed",
        "Traceback (most recent call last):",
        '  File "views.py", line 1, in view',
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: post",
        "[SQL: SELECT post.id",
        "FROM post]",
        "(Background on this error at: https://sqlalche.me/e/20/e3q8)",
    ],
    "two exceptions": [
        "ERROR:shop:failed",
        "Traceback (most recent call last):",
        "KeyError: 'a'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        "ValueError: b",
    ],
    "a text of several lines": ["2026-11-29 08:29:39,381 ERROR the order is refused:", "no address", "no name"],
    "a warning with a traceback": ["WARNING:shop:again", "Traceback (most recent call last):", "KeyError: 'a'"],
}


@pytest.mark.parametrize("lines", SEVERAL_LINES.values(), ids=SEVERAL_LINES)
def test_all_lines_of_a_message_are_chosen_together(lines):
    parser = Parser("app")
    later = "2026-11-29T08:30:09.123456789Z"
    stamped = [f"{STAMP} before it, without a level", f"{later} x", *(f"{later[:-2]}Z {line}" for line in lines)]
    before, other, *records = [parser.read(line) for line in stamped]
    after = parser.read(f"{later} [2026-11-29 08:29:41 +0000] [22] [INFO] fine")
    wanted = Choice(level="error")
    assert [wanted.wants(record) for record in records] == [True] * len(lines)
    assert [record.is_continued for record in records] == [False] + [True] * (len(lines) - 1)
    assert not any(wanted.wants(record) for record in (before, other, after))


def test_headline_without_a_level_has_that_of_its_traceback():
    parser = Parser("app")
    head = parser.read(f"{STAMP} Internal Server Error: /boom")
    assert head.level == "info"
    parser.read(f"{STAMP} Traceback (most recent call last):")
    assert head.level == "error"


def test_traceback_is_part_of_the_request_of_its_message():
    parser = Parser("app")
    lines = [
        "ERROR django.request [5c0f1122] Internal Error",
        "Traceback (most recent call last):",
        "KeyError: 1",
    ]
    assert all(Choice(request_id="5c0f1122").wants(parser.read(f"{STAMP} {line}")) for line in lines)


def test_lines_of_another_time_are_messages_of_their_own():
    parser = Parser("app")
    earlier = [parser.read(f"{STAMP} {line}") for line in ("starting", "ERROR no")]
    later = [
        parser.read(f"2026-11-29T08:{minute}:03.0Z {line}")
        for minute, line in ((31, "hello"), (32, "Traceback (most recent call last):"))
    ]
    assert [(record.level, record.is_continued) for record in [*earlier, *later]] == [
        ("info", False),
        ("error", False),
        ("info", False),
        ("error", False),
    ]


def test_line_after_an_access_line_is_its_own():
    parser = Parser("nginx")
    parser.read(f"{STAMP} {json.dumps(NGINX)}")
    assert not parser.read(f"{STAMP}   indented").is_continued


def test_line_of_docker_s_own_has_the_present_time():
    record = Parser("app").read("Error response from daemon: no such container")
    assert record.time.tzinfo
    assert record.line == "Error response from daemon: no such container"


@pytest.mark.parametrize("stamp", ["", "2026", "2026-11-29T08:30:03", "x"])
def test_no_time_is_not_one(stamp):
    assert read_time(stamp) is None
