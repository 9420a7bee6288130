"""nginx/watch-upstream: which processes it starts while nothing happens, and what it makes of another address."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from bench.kit_files import scripts
from tests.helpers.containers import wait_until

PATIENCE = 30.0
PROGRAMS = ("getent", "flock", "nginx", "timeout", "awk", "cmp", "cp", "mv", "rm", "sort", "sleep", "cat")


@pytest.fixture
def watch(tmp_path):
    """watch(): watch-upstream runs until the test ends, and each program that it starts is a line of `started`.

    `addresses` has what the name of the application resolves to.
    """
    kit, state, programs = tmp_path / "kit", tmp_path / "nginx", tmp_path / "programs"
    for folder in (kit, state, programs):
        folder.mkdir()
    for path in scripts():
        text = path.read_text().replace("/kit/bin/", f"{kit}/").replace("/tmp/nginx", str(state))
        (kit / path.name).write_text(text)
        (kit / path.name).chmod(0o755)
    for name in PROGRAMS:
        given = {
            "getent": f'while read -r address; do echo "$address STREAM app"; done <{tmp_path}/addresses',
            "nginx": "exit 0",
        }.get(name, f'exec {shutil.which(name)} "$@"')
        (programs / name).write_text(f"#!/bin/bash\necho {name} >>{tmp_path}/started\n{given}\n")
        (programs / name).chmod(0o755)
    (kit / "probe").write_text("#!/bin/bash\nexit 0\n")
    (state / "upload-paths").write_text("")
    (state / "locations.conf").write_text("")
    environment = {"PATH": str(programs), "WATCH_INTERVAL": "1", "STATIC_URL": "/static/"}
    with contextlib.ExitStack() as processes:

        def end(process):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)

        def start():
            # what nginx does with a SIGHUP is for others to test
            ignoring = ["bash", "-c", 'trap "" HUP; exec sleep 600']
            nginx = subprocess.Popen(ignoring, start_new_session=True)
            processes.callback(end, nginx)
            (tmp_path / "nginx.pid").write_text(f"{nginx.pid}\n")
            text = (kit / "upstream").read_text().replace(f"{state}.pid", f"{tmp_path}/nginx.pid")
            (kit / "upstream").write_text(text)
            once = [shutil.which("bash"), kit / "watch-upstream", "once"]
            subprocess.run(once, env=environment, timeout=PATIENCE, check=True)
            watcher = subprocess.Popen(once[:2], env=environment, start_new_session=True)
            processes.callback(end, watcher)

        yield start


def started(folder):
    return (folder / "started").read_text().split() if (folder / "started").exists() else []


def test_round_in_which_nothing_has_changed_starts_one_process(watch, tmp_path):
    (tmp_path / "addresses").write_text("10.0.0.3\n10.0.0.2\n")
    watch()
    used = (tmp_path / "nginx/upstream.conf").read_text()
    assert [line.split()[1] for line in used.splitlines()] == ["10.0.0.2:8000", "10.0.0.3:8000"]
    wait_until(lambda: started(tmp_path).count("getent") >= 3, "the first round is over")
    (tmp_path / "addresses").write_text("10.0.0.2\n10.0.0.3\n")  # the name server answers in any order
    (tmp_path / "started").unlink()
    wait_until(lambda: started(tmp_path).count("getent") >= 7, "some rounds have come")
    # each fifth asks both containers for their health, for a limited time
    assert set(started(tmp_path)) == {"getent", "timeout"}
    assert started(tmp_path).count("timeout") <= 4
    assert (tmp_path / "nginx/upstream.conf").read_text() == used


def test_other_addresses_are_followed(watch, tmp_path):
    (tmp_path / "addresses").write_text("10.0.0.2\n")
    watch()
    for addresses in (["10.0.0.2", "10.0.0.12"], ["10.0.0.12"], ["10.0.0.7"]):
        (tmp_path / "addresses").write_text("".join(f"{each}\n" for each in addresses))
        expected = [f"server {each}:8000 max_fails=3 fail_timeout=2s;" for each in sorted(addresses)]

        def is_followed(expected=expected):
            return (tmp_path / "nginx/upstream.conf").read_text().splitlines() == expected

        wait_until(is_followed, "the list has them")


def test_no_address_leaves_the_list(watch, tmp_path):
    (tmp_path / "addresses").write_text("10.0.0.2\n")
    watch()
    used = (tmp_path / "nginx/upstream.conf").read_text()
    (tmp_path / "addresses").write_text("")
    wait_until(lambda: (tmp_path / "nginx/away").exists(), "requests no longer wait for the application")
    assert (tmp_path / "nginx/upstream.conf").read_text() == used
    (tmp_path / "addresses").write_text("10.0.0.2\n")
    wait_until(lambda: not (tmp_path / "nginx/away").exists(), "it is back")
