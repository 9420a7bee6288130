"""Notifications to the service manager, over a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.process.system.sd_notify import Notifier

StartMaster = Callable[..., Any]


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def receive(self) -> dict[str, str]:
        """The next datagram."""
        lines = self.socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def wait(self, assignment: str) -> dict[str, str]:
        """The next datagram with this assignment."""
        name, value = assignment.split("=", 1)
        while (received := self.receive()).get(name) != value:
            pass
        return received


@pytest.fixture(params=["path", "abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify") if request.param == "path" else f"@ropewalk-test-{tmp_path}"[:100])
    yield manager
    manager.socket.close()


def test_ready_names_the_main_process(manager: Manager) -> None:
    Notifier(manager.address).ready("Serving")
    assert manager.receive() == {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "Serving"}


def test_reloading_has_the_time_of_the_managers_clock(manager: Manager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier(manager.address).reloading("Reloading")
    received = manager.receive()
    assert received.keys() == {"RELOADING", "MONOTONIC_USEC", "STATUS"}
    assert before <= int(received["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_status_is_one_line_whatever_it_contains(manager: Manager) -> None:
    Notifier(manager.address).status("one\nREADY=1\r\ntwo \udcff")
    assert manager.receive() == {"STATUS": "one READY=1 two \\udcff"}


def test_variables_are_removed_from_the_environment(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    notifier = Notifier.from_environ(environ)
    assert environ == {"A": "b"}
    assert notifier.watchdog_seconds == 1.5
    notifier.alive()
    assert manager.receive() == {"WATCHDOG": "1"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},  # the watchdog is for another process
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "-1"},
        {"WATCHDOG_USEC": "1000000"},
    ],
)
def test_no_watchdog_time_without_a_watchdog_for_this_process(environ: dict[str, str]) -> None:
    assert Notifier.from_environ(environ).watchdog_seconds == 0
    assert environ == {}


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/gone/and/lost", "@nobody-is-bound-to-this"])
def test_missing_service_manager_is_no_error(address: str) -> None:
    Notifier.from_environ({"NOTIFY_SOCKET": address}).ready("Serving")


def test_manager_that_does_not_read_does_not_block(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    for _ in range(2000):  # far past net.unix.max_dgram_qlen
        notifier.status("x")
    manager.wait("STATUS=x")


# A master


def test_master_notifies_start_reload_and_stop(start_master: StartMaster, manager: Manager) -> None:
    master = start_master(2, NOTIFY_SOCKET=manager.address)
    ready = manager.wait("READY=1")
    assert ready == {"READY": "1", "MAINPID": str(master.running.pid), "STATUS": "Serving with 2 workers"}
    assert len(master.workers(2)) == 2  # and not earlier
    master.running.send_signal(signal.SIGHUP)
    assert manager.wait("RELOADING=1")["STATUS"] == "Reloading"
    assert manager.wait("READY=1")["STATUS"] == "Serving with 2 workers"
    master.running.send_signal(signal.SIGTERM)
    assert manager.wait("STOPPING=1")["STATUS"] == "Finishing requests in flight"
    assert master.running.wait_exit() == 0


def test_failed_reload_is_notified_as_over_with_its_reason(
    start_master: StartMaster, manager: Manager, tmp_path: Path
) -> None:
    master = start_master(1, NOTIFY_SOCKET=manager.address)
    manager.wait("READY=1")
    (tmp_path / "boot").write_text("1 / 0")
    master.running.send_signal(signal.SIGHUP)
    manager.wait("RELOADING=1")
    assert manager.wait("READY=1")["STATUS"] == "Reload failed: fake='1 / 0': cannot be divided"


def test_workers_do_not_inherit_the_managers_variables(
    start_master: StartMaster, manager: Manager, tmp_path: Path
) -> None:
    script = "import os; known = [n for n in os.environ if n.startswith(('NOTIFY', 'WATCH'))]"
    script += "; os.write(1, f'known: {known}\\n'.encode())"  # in one piece, whatever else is written
    (tmp_path / "boot").write_text(script)
    master = start_master(1, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="60000000")
    assert master.running.wait_line(r"known: (\[.*\])\n")[1] == "[]"


def test_watchdog_is_notified_while_a_worker_is_alive(start_master: StartMaster, manager: Manager) -> None:
    start_master(1, watchdog=0.2, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="400000")
    for _ in range(3):
        manager.wait("WATCHDOG=1")


def test_watchdog_is_notified_while_a_worker_computes(
    start_master: StartMaster, manager: Manager, tmp_path: Path
) -> None:
    master = start_master(1, watchdog=0.2, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="400000")
    master.workers(1)
    with master.ask("spin go") as connection:
        master.running.wait_line("spinning")
        for _ in range(8):  # far more than would come after the last heartbeat
            manager.wait("WATCHDOG=1")
        (tmp_path / "go").touch()
        assert master.read(connection).isdigit()


def test_watchdog_is_not_notified_while_every_worker_is_stopped(start_master: StartMaster, manager: Manager) -> None:
    master = start_master(1, watchdog=0.2, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="400000")
    (worker,) = master.workers(1)
    manager.wait("WATCHDOG=1")
    os.kill(worker, signal.SIGSTOP)
    try:
        # A notification under way may still come; then there is none for several of the intervals between them.
        silence, deadline = threading.Event(), time.monotonic() + 20
        manager.socket.settimeout(1.0)
        while not silence.is_set():
            assert time.monotonic() < deadline, "the watchdog is still notified"
            try:
                manager.receive()
            except TimeoutError:
                silence.set()
    finally:
        os.kill(worker, signal.SIGCONT)
    manager.socket.settimeout(20)
    manager.wait("WATCHDOG=1")
