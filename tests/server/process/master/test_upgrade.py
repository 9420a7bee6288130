"""USR2: a new master beside the old one; the upgrade completed or cancelled; around a fake service."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.master.upgrade import VARIABLE, Predecessor

StartMaster = Callable[..., Any]
Ended = Callable[[int], bool]


def upgrade(master: Any, count: int = 1) -> int:
    """Send USR2 and wait until the new master is ready; its process id."""
    master.running.send_signal(signal.SIGUSR2)
    return int(master.running.wait_lines(r"The new master \(pid: (\d+)\) is ready", count)[-1][1])


def test_both_masters_serve_until_one_is_stopped(
    start_master: StartMaster, wait_for: Callable[..., None], wait_for_end: Ended
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    new_master = upgrade(master)
    new = master.workers(2)[1]
    seen: set[int] = set()

    def are_both_seen() -> bool:
        seen.add(int(master.answer("pid")))
        return len(seen) == 2

    wait_for(are_both_seen, "an answer of each")
    assert seen == {old, new}
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_term_to_the_old_master_completes_the_upgrade(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    with master.ask("wait go") as connection:
        master.running.wait_line("waiting")
        new_master = upgrade(master)
        new = master.workers(2)[1]
        os.kill(master.running.pid, signal.SIGTERM)
        master.running.wait_line("Handling signal: term")
        (tmp_path / "go").touch()
        assert master.read(connection) == str(old)
    assert wait_for_end(old)
    assert wait_for_end(master.running.pid)
    master.running.wait_line(rf"The old master \(pid: {master.running.pid}\) has exited; this one has taken over")
    master.running.wait_line(f"files taken over by {new_master}")
    assert master.answer("pid") == str(new)
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)
    assert not master.has_traceback()


def test_term_to_the_new_master_cancels_the_upgrade(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    new_master = upgrade(master)
    os.kill(new_master, signal.SIGTERM)
    master.running.wait_line(rf"The new master \(pid: {new_master}\) exited with status 0; keeping the old one")
    assert wait_for_end(new_master)
    assert master.answer("pid") == str(old)
    # And a new attempt succeeds.
    again = upgrade(master, 2)
    assert again != new_master
    os.kill(again, signal.SIGTERM)
    assert wait_for_end(again)
    assert not master.has_traceback()


def test_new_master_that_cannot_boot_leaves_the_old_one_serving(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "boot").write_text("1 / 0")
    master.running.send_signal(signal.SIGUSR2)
    master.running.wait_line("Upgrade failed; keeping the old master: fake='1 / 0': cannot be divided")
    assert master.answer("pid") == str(old)
    (tmp_path / "boot").unlink()
    new_master = upgrade(master)
    os.kill(new_master, signal.SIGTERM)
    master.running.wait_line("keeping the old one")


def test_new_master_that_is_killed_leaves_the_old_one_serving(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "boot").write_text(
        "print('hangs', flush=True)\nimport os, time\nwhile not os.path.exists('go'): time.sleep(0.01)"
    )
    master.running.send_signal(signal.SIGUSR2)
    new_master = int(master.running.wait_line(r"Upgrading: new master with pid: (\d+)")[1])
    master.running.wait_line("hangs")
    os.kill(new_master, signal.SIGKILL)
    master.running.wait_line("Upgrade failed.*: the new master was killed by SIGKILL")
    assert master.answer("pid") == str(old)
    (tmp_path / "go").touch()  # the orphan finds that its master is gone
    master.running.wait_line("Master is gone")


def test_upgrade_is_refused_while_another_is_in_progress(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(1)
    master.workers(1)
    new_master = upgrade(master)
    master.running.send_signal(signal.SIGUSR2)
    master.running.wait_line(f"Cannot upgrade: an upgrade is in progress: process {new_master} is the new master")
    os.kill(new_master, signal.SIGUSR2)
    master.running.wait_line(
        "Cannot upgrade: the upgrade that started this master is not finished: "
        rf"stop the old master \(process {master.running.pid}\), or this one"
    )
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_upgraded_master_can_be_upgraded(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(1)
    master.workers(1)
    second = upgrade(master)
    os.kill(master.running.pid, signal.SIGTERM)
    master.running.wait_line(f"files taken over by {second}")
    os.kill(second, signal.SIGUSR2)
    third = int(master.running.wait_lines(r"The new master \(pid: (\d+)\) is ready", 2)[1][1])
    os.kill(second, signal.SIGTERM)
    assert wait_for_end(second)
    master.running.wait_line(f"files taken over by {third}")
    assert int(master.answer("pid")) == master.workers(3)[2]
    os.kill(third, signal.SIGTERM)
    assert wait_for_end(third)


def test_new_master_takes_over_from_one_that_was_killed(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    new_master = upgrade(master)
    os.kill(master.running.pid, signal.SIGKILL)
    master.running.wait_line(f"files taken over by {new_master}")
    assert wait_for_end(old)
    assert int(master.answer("pid")) == master.workers(2)[1]
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_winch_drains_the_old_masters_workers_and_hup_starts_them_again(
    start_master: StartMaster, wait_for_end: Ended
) -> None:
    master = start_master(2)
    old = master.workers(2)
    new_master = upgrade(master)
    new = master.workers(4)[2:]
    master.running.send_signal(signal.SIGWINCH)
    master.running.wait_line("Draining the workers while the new master serves")
    assert all(wait_for_end(worker) for worker in old)
    assert all(int(master.answer("pid")) in new for _ in range(4))
    master.running.send_signal(signal.SIGHUP)
    master.running.wait_line("Reloaded: 2 workers")
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)
    assert int(master.answer("pid")) in master.workers(6)[4:]


def test_master_on_standby_serves_again_when_the_new_one_exits(start_master: StartMaster, wait_for_end: Ended) -> None:
    master = start_master(2)
    old = master.workers(2)
    new_master = upgrade(master)
    new = master.workers(4)[2:]
    master.running.send_signal(signal.SIGWINCH)
    assert all(wait_for_end(worker) for worker in old)
    os.kill(new_master, signal.SIGKILL)
    assert all(wait_for_end(worker) for worker in new)
    master.running.wait_line("The new master .* was killed by SIGKILL .*; keeping the old one")
    master.running.wait_lines("Ready: 2 workers", 3)
    assert int(master.answer("pid")) in master.workers(6)[4:]


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGTTIN])
def test_winch_without_an_upgrade_does_nothing(start_master: StartMaster, number: signal.Signals) -> None:
    master = start_master(1)
    (worker,) = master.workers(1)
    master.running.send_signal(signal.SIGWINCH)
    master.running.send_signal(signal.SIGTTIN)
    master.running.wait_line("Ready: 2 workers")
    assert "winch" not in master.running.output
    assert int(master.answer("pid")) in (worker, master.workers(2)[1])


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"pid": 1, "reports": 99999, "listeners": {}}'],
)
def test_invalid_variable_means_no_predecessor(text: str) -> None:
    environ = {VARIABLE: text}
    assert Predecessor.from_environ(environ) is None
    assert environ == {}


def test_variable_that_names_another_process_means_no_predecessor() -> None:
    reading_end, writing_end = os.pipe()
    try:
        environ = {VARIABLE: f'{{"pid": 1, "reports": {writing_end}, "listeners": {{}}}}'}
        assert Predecessor.from_environ(environ) is None
    finally:
        os.close(reading_end)
        os.close(writing_end)


WAIT_TO_BOOT = """
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
"""


def upgrade_slowly(master: Any, directory: Path) -> int:
    """Send USR2; the new master, whose worker boots until there is a file `go`."""
    master.workers(1)
    (directory / "boot").write_text(WAIT_TO_BOOT)
    master.running.send_signal(signal.SIGUSR2)
    return int(master.running.wait_line(r"Upgrading: new master with pid: (\d+)")[1])


def test_term_during_an_upgrade_waits_for_the_new_master(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    new_master = upgrade_slowly(master, tmp_path)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line(rf"Stopping once the new master \(pid: {new_master}\) is ready, or after 60 s")
    assert master.answer("pid") == str(old)
    for number, refused in ((signal.SIGHUP, "reload"), (signal.SIGUSR2, "upgrade")):
        master.running.send_signal(number)
        master.running.wait_line(f"Cannot {refused}: the server is stopping")
    (tmp_path / "go").touch()
    master.running.wait_line(rf"The new master \(pid: {new_master}\) is ready after [\d.]+ s\n")
    assert wait_for_end(master.running.pid)
    assert master.answer("pid") == str(master.workers(2)[1])
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)
    assert not master.has_traceback()


def test_a_worker_that_dies_while_the_master_waits_is_replaced(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "boot").write_text(WAIT_TO_BOOT)
    new_master = upgrade_slowly(master, tmp_path)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line("Stopping once the new master")
    (tmp_path / "boot").unlink()
    os.kill(old, signal.SIGKILL)
    assert master.answer("pid") == str(master.workers(2)[1])
    (tmp_path / "go").touch()
    assert wait_for_end(master.running.pid)
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_a_new_master_that_fails_ends_the_old_one_that_was_to_stop(start_master: StartMaster, tmp_path: Path) -> None:
    master = start_master(1)
    upgrade_slowly(master, tmp_path)
    master.running.send_signal(signal.SIGTERM)
    master.running.wait_line("Stopping once the new master")
    (tmp_path / "boot").write_text("1 / 0")  # for the worker that takes the place of the one that is killed
    os.kill(int(master.running.wait_lines(r"Booting worker with pid: (\d+)", 2)[1][1]), signal.SIGKILL)
    master.running.wait_line("Upgrade failed: ")
    master.running.wait_line("Stopping as asked, although no new master serves")
    assert master.running.wait_exit() == 0


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_the_wait_for_the_new_master_ends(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended, is_asked_again: bool
) -> None:
    master = start_master(1, HANDOVER="60" if is_asked_again else "0.1")
    new_master = upgrade_slowly(master, tmp_path)
    master.running.send_signal(signal.SIGTERM)
    if is_asked_again:
        master.running.wait_line("Stopping once the new master")
        master.running.send_signal(signal.SIGTERM)
    why = "asked to stop again" if is_asked_again else "it was not within 0.1 s"
    master.running.wait_line(rf"Stopping before the new master \(pid: {new_master}\) is ready: {why}")
    assert wait_for_end(master.running.pid)
    with master.ask("pid") as connection:  # waits in the socket that the new one has
        (tmp_path / "go").touch()
        assert master.read(connection) == str(master.workers(2)[1])
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_a_new_master_serves_although_the_old_one_ends_at_once(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended, number: signal.Signals
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    (tmp_path / "boot").write_text(WAIT_TO_BOOT)
    master.running.send_signal(signal.SIGSTOP)  # so that both arrive together
    master.running.send_signal(signal.SIGUSR2)
    if number == signal.SIGKILL:
        master.running.send_signal(signal.SIGCONT)
        master.running.wait_line("Upgrading: new master")
    master.running.send_signal(number)
    master.running.send_signal(signal.SIGCONT)
    new_master = int(master.running.wait_line(r"Upgrading: new master with pid: (\d+)")[1])
    assert wait_for_end(master.running.pid)
    assert wait_for_end(old)
    with master.ask("pid") as connection:
        (tmp_path / "go").touch()
        assert master.read(connection) == str(master.workers(2)[1])
    master.running.wait_line(f"files taken over by {new_master}")
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_term_to_the_process_group_during_an_upgrade_ends_both(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(1)
    new_master = upgrade_slowly(master, tmp_path)
    os.killpg(master.running.pid, signal.SIGTERM)
    assert master.running.wait_exit() == 0
    assert wait_for_end(new_master)
    assert not master.has_traceback()


def test_winch_before_the_new_master_is_ready_says_that_it_has_no_effect(
    start_master: StartMaster, tmp_path: Path, wait_for_end: Ended
) -> None:
    master = start_master(1)
    (old,) = master.workers(1)
    new_master = upgrade_slowly(master, tmp_path)
    master.running.send_signal(signal.SIGWINCH)
    master.running.wait_line("WINCH has no effect: the new master is not ready yet")
    assert master.answer("pid") == str(old)
    os.kill(new_master, signal.SIGTERM)
    assert wait_for_end(new_master)


def test_a_predecessor_that_has_exited_already_leaves_its_listeners() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    predecessor = Predecessor.from_environ(
        {VARIABLE: f'{{"pid": 1, "reports": {writing_end}, "listeners": {{"fake": [3]}}}}'}
    )
    assert predecessor is not None
    assert predecessor.listeners == {"fake": [3]}
    predecessor.close()
