"""deploy/kit/logs/choice.py: which lines are wanted."""

import json

import pytest

from kit.errors import KitError
from kit.logs import choice
from kit.logs.records import parse
from tests.kit.command.logs.test_records import NGINX, TIME


def read(is_terminal=True, **values):
    return choice.read(values, is_terminal=is_terminal)


def test_without_values_all_is_shown_from_the_last_lines_on():
    wanted = read()
    assert (wanted.format, wanted.follows, wanted.history) == ("text", True, ["--tail", "100"])
    assert wanted.wants(parse(TIME, "app", "hello"))


def test_what_is_piped_is_as_the_containers_wrote_it():
    assert read(is_terminal=False).format == "raw"
    assert read(is_terminal=False, FORMAT="text").format == "text"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"LEVEL": "loud"}, "LEVEL='loud': must be one of debug, info, warning, error, critical"),
        ({"FORMAT": "xml"}, "FORMAT='xml': must be one of text, raw, json"),
        ({"FOLLOW": "2"}, "FOLLOW='2': must be 1 or 0"),
        ({"ID": "a b"}, "ID='a b': must be a request ID, such as the X-Request-ID of a response"),
        ({"SINCE": "10"}, "SINCE='10': must be a duration such as 10m, 2h or 1d, or a time such as 2026-11-29T08:30"),
    ],
)
def test_value_that_is_not_allowed_is_one_line(values, said):
    with pytest.raises(KitError) as raised:
        read(**values)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("given", "passed"), [("10m", "600s"), ("1h30m", "5400s"), ("2d", "172800s"), ("2026-11-29T08:30", None), ("", "")]
)
def test_since_is_what_docker_understands(given, passed):
    assert choice.read_since(given) == (given if passed is None else passed)


def test_level_is_the_least():
    wanted = read(LEVEL="Warning")
    assert [wanted.wants(parse(TIME, "app", f"{level} x")) for level in ("INFO", "WARNING", "ERROR")] == [0, 1, 1]


def test_id_selects_its_lines_wherever_they_have_it():
    wanted = read(ID="5c0f1122")
    lines = ["WARNING [5c0f1122] Not Found", json.dumps(NGINX | {"request_id": "5c0f1122"}), "WARNING other"]
    assert [wanted.wants(parse(TIME, "app", line)) for line in lines] == [True, True, False]
    assert wanted.history == []
    assert read(ID="5c0f1122", SINCE="10m").history == ["--since", "600s"]


def test_health_checks_that_succeed_are_left_out_of_text():
    good, bad = (parse(TIME, "app", json.dumps(NGINX | {"status": status})) for status in (200, 503))
    assert not read().wants(good)
    assert read().wants(bad)
    assert read(HEALTH="1").wants(good)
    assert read(FORMAT="raw").wants(good)


def test_services_have_to_exist():
    assert read(SERVICE="app, nginx").services == ("app", "nginx")
    choice.check_services(["app"], ["nginx", "app", "app"])
    with pytest.raises(KitError, match=r"^SERVICE='ngnx': must be one of app, nginx$"):
        choice.check_services(["ngnx"], ["nginx", "app", "app"])
