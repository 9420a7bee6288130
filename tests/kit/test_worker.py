"""deploy/app/worker.py: what the container of a queue's worker starts."""

import os
import subprocess
import sys

import pytest


def run(repository, command, name="WORKER_COMMAND"):
    return subprocess.run(
        [sys.executable, "-I", "deploy/app/worker.py", name],
        cwd=repository,
        env={"PATH": os.environ["PATH"], name: command},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_program_takes_its_place_with_its_arguments(repository):
    done = run(repository, """sh -c 'echo "$0 $1"; exit 7' "two words" $HOME""")
    assert (done.returncode, done.stdout) == (7, "two words $HOME\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "worker: WORKER_COMMAND='': must be a command, such as: python manage.py migrate\n"),
        (
            "rq worker | tee",
            "worker: WORKER_COMMAND='rq worker | tee': no shell runs it, and | is a shell's. With one: sh -c '...'\n",
        ),
        ("rq 'worker", 'worker: WORKER_COMMAND="rq \'worker": no closing quotation\n'),
        ("no-such-program now", "worker: WORKER_COMMAND='no-such-program now': No such file or directory\n"),
    ],
)
def test_what_cannot_be_started_is_one_line(repository, command, said):
    done = run(repository, command)
    assert (done.returncode, done.stderr) == (2, said)


def test_variables_may_precede_the_program(repository):
    done = run(repository, "GREETING='good day' sh -c 'echo $GREETING $1' -- A=1", "SCHEDULER_COMMAND")
    assert (done.returncode, done.stdout) == (0, "good day A=1\n")
    assert run(repository, "A=1", "SCHEDULER_COMMAND").stderr.startswith("worker: SCHEDULER_COMMAND='A=1': ")
