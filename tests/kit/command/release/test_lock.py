"""deploy/kit/release/lock.py: whether the process that has the lock has ended."""

import os
import subprocess
import sys

import pytest

from kit.release import lock
from kit.release.errors import ReleaseError
from tests.helpers.fake_engine import FakeEngine


def test_process_that_runs_is_not_gone():
    owner = lock.this_process()
    assert lock.read_owner(str(owner)) == owner
    assert not owner.is_gone


def test_process_that_has_ended_is_gone_and_so_is_one_whose_pid_another_has_now():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert lock.this_process()._replace(pid=process.pid).is_gone
    assert lock.this_process()._replace(started="0").is_gone


def test_restart_of_the_machine_ends_every_process():
    assert lock.this_process()._replace(boot="other").is_gone


def test_process_of_another_machine_may_run():
    assert not lock.this_process()._replace(host="other", started="0").is_gone
    assert not lock.this_process()._replace(machine="other", boot="other", started="0").is_gone


@pytest.mark.parametrize("label", ["", "nonsense", "a\tb\tc\td\tx\te"])
def test_what_is_no_owner(label):
    assert lock.read_owner(label) is None


def test_container_of_somebody_else_with_this_name_is_left_alone():
    engine = FakeEngine()
    engine.add("", 0, name="shop-deployment")
    with pytest.raises(ReleaseError, match="there is a container named shop-deployment, which is not a deployment's"):
        lock.acquire(engine, "shop", "sha256:1", by_force=True)


def test_lock_of_a_process_that_has_ended_is_taken_over():
    engine = FakeEngine()
    gone = lock.this_process()._replace(pid=os.getpid(), started="0")
    engine.run("create", "--name", "shop-deployment", f"--label={lock.LABEL}={gone}")
    held = lock.acquire(engine, "shop", "sha256:1")
    assert engine.containers[held].labels[lock.LABEL] == str(lock.this_process())
    lock.release(engine, held)
    assert held not in engine.containers
