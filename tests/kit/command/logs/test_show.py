"""deploy/kit/logs/show.py: lines for people and for programs."""

import json
from datetime import UTC, datetime

import pytest

from kit.logs.records import Record, parse
from kit.logs.show import Text, as_json, clean
from tests.kit.command.logs.test_records import GUNICORN, NGINX

TIME = datetime(2026, 11, 29, 8, 30, 3, 123456, UTC)
DAY = "--- Sunday, 29 November 2026"


def shown(*records, color=False):
    text = Text(has_color=color, zone=UTC, width=7)
    return [line for record in records for line in text.lines(record)]


def test_columns_and_the_day_once():
    first = parse(TIME, "nginx", "watch-upstream: started")
    second = Record(TIME, "release", "error", "", "no\nmore", is_continued=True)
    assert shown(first, second) == [
        DAY,
        "08:30:03.123 nginx   info     watch-upstream: started",
        "08:30:03.123 release          no",
        "08:30:03.123 release          more",
    ]


def test_access_line_of_nginx():
    line = NGINX | {"upstream_seconds": "0.044", "hint": "too large"}
    assert shown(parse(TIME, "nginx", json.dumps(line)))[1].partition("error    ")[2] == (
        "GET /shop?q=1 502, 47 ms, 1.2 kB, app 44 ms at 172.21.0.2:8000, too large  192.0.2.7 5c0f"
    )


def test_access_line_of_a_file():
    line = json.dumps(NGINX | {"upstream": "", "status": 200})
    assert "200, 47 ms, 1.2 kB, by nginx itself  192" in shown(parse(TIME, "nginx", line))[1]


def test_access_line_of_a_request_that_was_tried_twice():
    line = NGINX | {"upstream": "172.21.0.2:8000, 172.21.0.4:8000", "upstream_seconds": "2.000, 0.003"}
    assert "app 2.000, 0.003 s at 172.21.0.2:8000, 172.21.0.4:8000" in shown(parse(TIME, "nginx", json.dumps(line)))[1]


def test_access_lines_of_the_servers():
    line = {"method": "POST", "target": "/", "status": 200, "bytes": 3, "seconds": 0.0414, "client": "192.0.2.7"}
    line |= {"queue": 0.002, "application": 0.041, "aborted": True, "pid": 71}
    assert shown(parse(TIME, "app", json.dumps(line)))[1].partition("info     ")[2] == (
        "POST / 200, 41 ms, 3 B, queue 2.0 ms, application 41 ms, not received completely, worker 71  192.0.2.7"
    )
    assert shown(parse(TIME, "app", GUNICORN))[1].endswith("info     GET /a?b 404, 0 B  172.21.0.3")


def test_colors_only_where_they_are_wanted():
    record = parse(TIME, "app", "WARNING careful")
    assert "\033" not in "".join(shown(record))
    assert shown(record, color=True)[1] == (
        "\033[2m08:30:03.123\033[0m \033[36mapp    \033[0m \033[33mwarning \033[0m \033[33mcareful\033[0m"
    )


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", ""),
        ("a\x1bb\rc\x9b\u202e", "a\\x1bb\\rc\\x9b\\u202e"),
        ("a\tb é", "a\tb é"),
    ],
)
def test_nothing_reaches_the_terminal_but_text(text, safe):
    assert clean(text) == safe


def test_target_reaches_the_terminal_as_text():
    assert "GET /\\x1b" in shown(parse(TIME, "nginx", json.dumps(NGINX | {"uri": "/\x1b"})))[1]


def test_json_has_what_is_known():
    record = json.loads(as_json(parse(TIME, "nginx", json.dumps(NGINX))))
    assert record["access"]["upstream"] == "172.21.0.2:8000"
    assert (record["container"], record["level"], record["request_id"]) == ("nginx", "error", "5c0f")
    assert json.loads(as_json(parse(TIME, "app", "hello"))) == {
        "time": "2026-11-29T08:30:03.123456+00:00",
        "container": "app",
        "level": "info",
        "request_id": None,
        "message": "hello",
    }
