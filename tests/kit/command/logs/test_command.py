"""deploy/kit/logs/command.py: merging and printing; and the whole command with a small fake of docker."""

import io
import itertools
import json
import queue
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from kit.logs import choice, command
from kit.logs.records import Record, parse
from tests.kit.command.logs.test_records import NGINX, TIME
from tests.kit.command.test_containers import inspected


def at(seconds, text, container="app"):
    return Record(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), container, "info", text, text)


def test_lines_of_several_containers_are_in_the_order_of_their_times():
    arriving = queue.SimpleQueue()
    for record in (at(3, "third"), at(1, "first"), at(2, "second")):
        arriving.put(record)
    # the clock goes on with each look, so that nothing is waited for
    merged = command.in_order(arriving, now=itertools.count(0, 0.01).__next__, settling=0.2)
    assert [record.text for record in itertools.islice(merged, 3)] == ["first", "second", "third"]


def printed(wanted, *records):
    stream = io.StringIO()
    emit = command.printer(wanted, stream, {}, ["app", "nginx"])
    for record in records:
        emit(record)
    return stream.getvalue()


def test_one_service_is_passed_through_as_it_is():
    line = json.dumps(NGINX)
    record = parse(TIME, "nginx", line)
    assert printed(choice.Choice(format="raw", services=("nginx",)), record) == line + "\n"
    assert printed(choice.Choice(format="raw"), record, at(1, "hello")) == f"nginx | {line}\napp   | hello\n"
    assert json.loads(printed(choice.Choice(format="json"), record))["container"] == "nginx"
    assert printed(choice.Choice(), at(1, "hello")).endswith("app   info     hello\n")


@pytest.fixture
def logs(repository, tmp_path):
    """logs(script, **variables): the command, with a docker that is this script."""
    (tmp_path / "all.json").write_text(json.dumps([inspected("app"), inspected("nginx")]))

    def call(script="", stdout=subprocess.PIPE, **variables):
        docker = tmp_path / "docker"
        docker.write_text(
            f"""#!/bin/sh
case "$*" in
'compose version --short') echo 2.26.1 ;;
'compose config --format json') echo '{{"name": "shop"}}' ;;
'info --format {{{{.SystemTime}}}}') echo 2026-11-29T09:00:00Z ;;
version*) echo 26.1.5 ;;
ps*) echo one ;;
'inspect one') cat {tmp_path}/all.json ;;
events*) exec sleep 60 ;;
logs*--until*id-of-app) echo '2026-11-29T08:30:02Z second'; echo '2026-11-29T08:30:03Z third' ;;
logs*--until*id-of-nginx) echo '2026-11-29T08:30:01Z first' ;;
{script}
*) exit 99 ;;
esac
"""
        )
        docker.chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null", **variables}
        words = [sys.executable, "-I", repository / "deploy/kit", "logs"]
        return subprocess.Popen(words, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True)

    return call


def test_what_there_is_is_merged_by_time(logs):
    with logs(FOLLOW="0") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out == "nginx | first\napp   | second\napp   | third\n"


def test_unknown_service_is_one_line(logs):
    with logs(SERVICE="ngnx") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (2, "", "logs: SERVICE='ngnx': must be one of app, nginx\n")


FOLLOWED = "logs*--follow*id-of-app) echo '2026-11-29T09:00:01Z fourth'; exec sleep 60 ;;\n"
FOLLOWED += "logs*--follow*) exec sleep 60 ;;"


def test_interrupted_command_ends_quietly(logs):
    with logs(FOLLOWED) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert lines[3] == "app   | fourth\n"
    assert (process.returncode, err) == (0, "")


def test_reader_that_ends_first_is_no_error(logs):
    with logs(FOLLOWED) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0
