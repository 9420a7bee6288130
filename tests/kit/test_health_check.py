"""deploy/app/health-check: when it stays, and when it reports."""

import os
import subprocess

import pytest

PATIENCE = 30.0


@pytest.fixture
def check(repository, tmp_path):
    """check(script): its exit status, its output, and how often the command has run, whose number is `$run`."""
    text = (repository / "deploy/app/health-check").read_text()
    for old, new in (
        ("/tmp/healthy-before", f"{tmp_path}/mark"),
        ("stay=30 pause=5 limit=5", "stay=2 pause=0.1 limit=1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "health-check").write_text(text)

    def run(script):
        (tmp_path / "runs").write_text("")
        counted = f"echo >>{tmp_path}/runs; run=$(wc -l <{tmp_path}/runs); {script}"
        command = ["bash", tmp_path / "health-check", "bash", "-c", counted]
        environment = {"PATH": os.environ["PATH"]}
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
        return done.returncode, done.stdout + done.stderr, len((tmp_path / "runs").read_text())

    return run


def test_first_success_is_reported_at_once_and_later_ones_are_repeated(check):
    assert check("exit 0") == (0, "", 1)
    status, output, runs = check("exit 0")
    assert (status, output) == (0, "")
    assert runs > 2


def test_failure_is_reported_at_once_with_its_reason(check):
    assert check("echo 'port 8000 refuses connections'; exit 1") == (1, "port 8000 refuses connections\n", 1)
    check("exit 0")
    assert check("((run < 3)) || { echo 'HTTP/1.1 503'; exit 1; }") == (1, "HTTP/1.1 503\n", 3)
    # so is the recovery
    assert check("exit 0") == (0, "", 1)


def test_command_that_says_nothing_has_failed_too(check):
    assert check("exit 3") == (1, "", 1)


def test_command_that_hangs_has_failed(check):
    assert check("exec sleep 60") == (1, "no response within 1 s\n", 1)


def test_probe_stays_if_it_is_told_to(repository, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    probe = folder / "probe"
    probe.write_text((repository / "deploy/app/probe").read_text())
    (folder / "health-check").write_text("#!/bin/bash\nprintf '<%s>' \"$@\"\n")
    for path in folder.iterdir():
        path.chmod(0o755)
    done = subprocess.run([probe, "127.0.0.1", "8000", "", "stay"], capture_output=True, text=True, check=True)
    assert done.stdout == f"<{probe}><127.0.0.1><8000><>"
