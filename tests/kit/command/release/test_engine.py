"""deploy/kit/release/engine.py: programs that a deployment runs end with it."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kit.release.engine import Engine
from kit.release.errors import ConnectionLost, InterruptedByUser, ReleaseError
from kit.release.signals import Signals


@pytest.fixture
def docker(tmp_path):
    """docker(script): an environment in which `docker` is this shell script."""

    def fake(script):
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return fake


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_both_streams_and_the_status_are_returned(docker):
    shown = []
    engine = Engine(docker("echo out; echo 'Error response from daemon: no' >&2; exit 3"), Signals(), shown.append)
    done = engine.run("ps")
    assert (done.status, done.output, done.reason) == (3, "out\n", "no")
    assert shown == []
    assert engine.run("ps", show=True).output.splitlines() == ["out", "Error response from daemon: no"]
    assert b"".join(shown).startswith(b"out\n")
    with pytest.raises(ReleaseError, match="docker ps: no"):
        engine.output("ps")


def test_program_that_takes_too_long_is_ended(docker, tmp_path):
    engine = Engine(docker(f"echo $$ >{tmp_path}/pid; exec sleep 60"), Signals(), lambda _: None)
    with pytest.raises(ReleaseError, match="docker pull has not ended in time"):
        engine.run("pull", timeout=0.3)
    assert ended(int((tmp_path / "pid").read_text()))


def test_signal_ends_the_program_that_runs_unless_it_is_deferred(docker, tmp_path):
    with Signals() as signals:
        engine = Engine(docker(f"echo $$ >{tmp_path}/pid; exec sleep 60"), signals, lambda _: None)
        pid = tmp_path / "pid"

        def interrupt():
            wait_for(lambda: pid.exists() and pid.read_text())
            os.kill(os.getpid(), signal.SIGHUP)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(InterruptedByUser) as raised:
            engine.run("pull")
        thread.join()
        assert raised.value.exit_status == 129
        assert ended(int(pid.read_text()))
        signals.defer()
        engine.environment = docker("echo done")
        assert engine.output("ps") == "done"


def test_program_ends_when_the_deployment_is_killed(docker, tmp_path, repository):
    environment = docker(f"echo $$ >{tmp_path}/pid; exec sleep 60") | {"PYTHONPATH": str(repository / "deploy")}
    code = (
        "import os; from kit.release.engine import Engine; from kit.release.signals import Signals;"
        " Engine(os.environ, Signals(), lambda _: None).run('pull')"
    )
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        wait_for(lambda: pid.exists() and pid.read_text())
        process.kill()
    wait_for(lambda: ended(int(pid.read_text())))


def test_program_has_a_terminal_if_the_command_has_one(docker):
    shown = []
    reading, writing = pty.openpty()
    try:
        engine = Engine(docker("test -t 1 && test -t 2 && echo terminal"), Signals(), shown.append, has_terminal=True)
        assert engine.run("build", show=True).output.strip() == "terminal"
        assert engine.run("build").output == ""
    finally:
        os.close(reading)
        os.close(writing)
    assert b"".join(shown).strip() == b"terminal"


def test_several_calls_run_at_the_same_time(docker, tmp_path):
    # each waits for the other
    script = f'touch {tmp_path}/$1; until [ -e {tmp_path}/$2 ]; do sleep 0.02; done; echo "$1"'
    engine = Engine(docker(script), Signals(), print)
    done = engine.together([["a", "b"], ["b", "a"]], timeout=20)
    assert [each.output for each in done] == ["a\n", "b\n"]


@pytest.mark.parametrize(
    "said",
    [
        "error during connect: Get http://docker.example.com/v1.45/info: command [ssh -- shop] has exited with 255",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "failed to connect to the docker API at unix:///var/run/docker.sock",
    ],
)
def test_engine_that_is_gone_is_no_answer(docker, said):
    """It was taken for 'there is none', such as no journal of a deployment that was cut short."""
    engine = Engine(docker(f"echo '{said}' >&2; exit 1"), Signals(), lambda _: None)
    with pytest.raises(ConnectionLost, match="the engine cannot be reached any more"):
        engine.run("image", "inspect")
    engine = Engine(docker(f"echo '{said}'; echo the application has failed; exit 1"), Signals(), lambda _: None)
    assert engine.run("run", merge=True).status == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("failed to receive status: rpc error: error reading from server: {}", ""),
        ("error during connect: Post http://docker.example.com/v1.45/x/start: {}", ""),
        ("{}kex_exchange_identification: Connection reset", ": kex_exchange_identification: Connection reset"),
    ],
)
def test_connection_that_is_lost_is_said_in_plain_words(docker, said, reason):
    ssh = (
        "command [ssh -l ada -- shop.example docker system dial-stdio] has exited with exit status 255, please make"
        " sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr="
    )
    environment = docker(f"echo '{said.format(ssh)}' >&2; exit 1") | {"DOCKER_HOST": "ssh://ada@shop.example"}
    with pytest.raises(ConnectionLost) as raised:
        Engine(environment, Signals(), lambda _: None).run("compose", "build")
    assert str(raised.value) == f"the SSH connection to ada@shop.example was lost{reason}"
