"""deploy/kit/logs/sources.py: the logs of containers, with a small fake of docker."""

import json
import os

import pytest

from kit import containers
from kit.logs import sources
from tests.kit.command.test_containers import inspected

STAMP = "2026-11-29T08:30:03.123456789Z"


def numbered(service, number):
    entry = inspected(service, f"shop-{service}-{number}")
    entry["Config"]["Labels"]["com.docker.compose.container-number"] = str(number)
    return entry


def test_containers_are_named_by_their_service_and_a_number_only_if_it_has_several():
    found = containers.read([numbered("app", 1), numbered("app", 2), numbered("nginx", 1)])
    assert list(sources.labels(found).values()) == ["app-1", "app-2", "nginx"]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("one 1700000000123456789 start ", ("one", "1700000000.123456789", True, "")),
        ("one 1700000000000000001 die 137", ("one", "1700000000.000000001", False, "137")),
        ("one 1700000000000000001 die <no value>", ("one", "1700000000.000000001", False, "")),
        ("no event", None),
    ],
)
def test_events_of_the_engine(line, event):
    assert sources.read_event(line) == event


@pytest.fixture
def docker(tmp_path):
    """docker(script): an environment whose `docker` is this script; `$*` are its arguments."""

    def fake(script):
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return fake


def test_lines_end_only_at_their_end(docker):
    environment = docker(f"printf '{STAMP} a\\rb\\n{STAMP} c\\377\\n'")
    assert [each.line for each in sources.read("one", "app", [], environment)] == ["a\rb", "c\ufffd"]


def test_reading_that_is_given_up_ends_docker(docker):
    environment = docker(f"echo '{STAMP} a'; exec sleep 60")
    reading = sources.read("one", "app", [], environment)
    assert next(reading).line == "a"
    reading.close()  # would wait for the sleep


def test_containers_that_run_are_followed_and_those_that_start_too(docker, tmp_path):
    (tmp_path / "two.json").write_text(json.dumps([numbered("app", 2)]))
    environment = docker(
        'case "$*" in\n'
        f"'logs --timestamps --follow --since now id-of-shop-app-1') echo '{STAMP} first'; exec sleep 60 ;;\n"
        f"'logs --timestamps --follow --since 1700000000.000000001 id-of-shop-app-2') echo '{STAMP} second' ;;\n"
        "events*) echo id-of-shop-app-2 1700000000000000001 start; echo id-of-shop-app-1 1700000000000000002 die 137;"
        " exec sleep 60 ;;\n"
        f"inspect*) cat {tmp_path}/two.json ;;\n"
        "*) exit 99 ;;\nesac"
    )
    following = sources.Sources("shop", environment, "now", ())
    following.open(containers.read([numbered("app", 1)]))
    try:
        said = {(record.container, record.text) for record in (following.records.get(timeout=30) for _ in range(4))}
    finally:
        following.close()
    assert said == {
        ("app", "first"),
        ("app-2", "the container has started"),
        ("app-2", "second"),
        ("app", "the container has ended with exit status 137"),
    }
