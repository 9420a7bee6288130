"""deploy/kit/logs/request.py: the story of a request, from lines as the containers write them."""

import json
from datetime import timedelta

import pytest

from kit.logs import request
from kit.logs.records import parse, read_time
from kit.logs.request import Log
from tests.kit.command.logs.test_records import GUNICORN

END = read_time("2026-11-29T08:30:03.000Z")
LONG_AGO = END - timedelta(days=1)

FRONT = {
    "request_id": "5c0f",
    "client": "192.0.2.7",
    "scheme": "https",
    "host": "shop.example",
    "method": "POST",
    "uri": "/shop",
    "status": 200,
    "bytes": 5800,
    "request_bytes": 1_200_000,
    "seconds": 1.0,
    "upstream": "172.21.0.2:8000",
    "upstream_status": "200",
    "upstream_connect": "0.010",
    "upstream_header": "0.500",
    "upstream_seconds": "0.600",
    "hint": "",
}
# nginx has the first octet at 02.000 and all of the request at 02.300; the application is called at 02.350
BACK = {
    "time": "2026-11-29T08:30:02.810+00:00",
    "request_id": "5c0f",
    "method": "POST",
    "target": "/shop",
    "status": 200,
    "bytes": 5000,
    "receiving": 0.01,
    "queue": 0.05,
    "waiting": 0.02,
    "application": 0.45,
    "sending": 0.01,
    "seconds": 0.46,
    "pid": 71,
}


def front(oldest=LONG_AGO, **values):
    return Log("nginx", True, oldest, [parse(END, "nginx", json.dumps(FRONT | values))])


def back(*more, oldest=LONG_AGO, time=END, **values):
    access = [parse(END, "app", json.dumps(BACK | values))]
    return Log("app", False, oldest, access + [parse(time, "app", line) for line in more])


NOTHING = Log("app", False, LONG_AGO, [])


def phases(*logs):
    story = request.tell("5c0f", logs)
    return [(round(each.start, 3), round(each.duration, 3), each.who, each.text) for each in story.phases]


def test_both_logs_make_one_timeline():
    assert phases(front(), back()) == [
        (0.0, 0.3, "nginx", "receives the request, 1.2 MB"),
        (0.3, 0.01, "nginx", "connects to 172.21.0.2:8000"),
        (0.31, 0.01, "server", "has not accepted it yet (on the way, or in the backlog)"),
        (0.32, 0.01, "server", "receives the request"),
        (0.33, 0.02, "server", "has it wait for a thread"),
        (0.35, 0.45, "server", "runs the application in worker 71"),
        (0.8, 0.01, "server", "sends the response"),
        (0.8, 0.1, "nginx", "receives the response from its head on"),
        (0.9, 0.1, "nginx", "sends the rest to the client, 5.8 kB"),
    ]


def test_heading_and_begin():
    story = request.tell("5c0f", [front(), back()])
    assert story.heading == ("POST https://shop.example/shop from 192.0.2.7: 200 after 1.00 s (request ID 5c0f)")
    assert story.begin == END - timedelta(seconds=1)
    assert story.notes == []


def test_errors_of_the_request_are_part_of_the_story():
    line = "[2026-11-29 08:30:02 +0000] [71] [ERROR] GET '/shop': failed (request id 5c0f)"
    story = request.tell("5c0f", [front(), back(line)])
    assert [record.level for record in story.others] == ["error"]


def test_gunicorn_says_less():
    logs = [front(), Log("app", False, LONG_AGO, [parse(END, "app", f"{GUNICORN} 5c0f 450000 <71>")])]
    assert phases(*logs)[:3] == [
        (0.0, 0.4, "nginx", "receives the request, 1.2 MB, and sends the response"),
        (0.0, 0.01, "nginx", "connects to 172.21.0.2:8000"),
        (0.0, 0.45, "server", "handles the request in worker 71"),
    ]


def test_container_that_was_tried_in_vain_is_named():
    twice = {
        "upstream": "172.21.0.2:8000, 172.21.0.4:8000",
        "upstream_status": "504, 200",
        "upstream_connect": "-, 0.001",
        "upstream_header": "-, 0.003",
        "upstream_seconds": "0.400, 0.003",
    }
    assert phases(front(**twice), NOTHING)[1:3] == [
        (0.0, 0.4, "nginx", "tries 172.21.0.2:8000: no connection"),
        (0.4, 0.001, "nginx", "connects to 172.21.0.4:8000"),
    ]


def test_response_that_never_came():
    values = {"status": 504, "upstream_status": "504", "upstream_header": "-", "upstream_seconds": "1.000"}
    story = request.tell("5c0f", [front(**values), NOTHING])
    assert story.phases[-1].text == "waits for the response: no response"
    assert story.notes == [
        "the server's log has no line with this ID: it did not receive the request, or has not completed it"
    ]


def test_response_that_was_not_taken():
    assert phases(front(), back(aborted=True))[6][3] == "sends the response, which nginx did not take completely"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, ": a file"),
        (304, ": a redirect, or a file that has not changed"),
        (499, ": the client closed the connection first"),
        (400, ""),
    ],
)
def test_request_that_nginx_did_not_pass_on(status, reason):
    story = request.tell("5c0f", [front(upstream="", status=status), NOTHING])
    assert [phase.text for phase in story.phases] == ["responds by itself, 5.8 kB"]
    assert story.notes == [f"nginx responded without the application{reason}"]


def test_hint_of_nginx_is_shown():
    assert request.tell("5c0f", [front(hint="endless redirect"), back()]).notes == ["nginx: endless redirect"]


def test_log_that_starts_later_is_the_reason():
    story = request.tell("5c0f", [front(), Log("app", False, END + timedelta(hours=1), [])])
    later = request.local(END + timedelta(hours=1))
    (note,) = story.notes
    assert note == f"the log of the server has no line of then: it starts at {later} (rotated, or a new container)"
    story = request.tell("5c0f", [front(), Log("app", False, None, [])])
    assert story.notes == ["the log of the server is empty, or its container is gone"]


def test_request_that_did_not_come_through_nginx():
    story = request.tell("5c0f", [Log("nginx", True, LONG_AGO, []), back(queue=None)])
    assert [(round(each.start, 2), each.text) for each in story.phases] == [
        (0.0, "receives the request"),
        (0.01, "has it wait for a thread"),
        (0.03, "runs the application in worker 71"),
        (0.48, "sends the response"),
    ]
    assert story.heading.startswith("POST /shop: 200 after ")
    assert "did not come through nginx" in story.notes[0]


def test_error_alone_is_a_story_too():
    line = "[2026-11-29 08:30:02 +0000] [71] [ERROR] GET '/shop': failed (request id 5c0f)"
    story = request.tell("5c0f", [Log("app", False, LONG_AGO, [parse(END, "app", line)])])
    assert (story.heading, len(story.others), len(story.notes)) == ("Request 5c0f", 1, 2)


def test_id_that_came_more_than_once_is_said():
    log = front()
    twice = Log("nginx", True, LONG_AGO, [*log.records, *log.records])
    assert request.tell("5c0f", [twice, back()]).notes[0].startswith("2 requests came with this ID")


def test_unknown_id_has_no_story_and_the_logs_reach_is_said():
    assert request.tell("5c0f", [NOTHING]) is None
    assert request.reach([NOTHING]) == f"app from {request.local(LONG_AGO)} on"
    assert request.reach([]) == "none has a line"
