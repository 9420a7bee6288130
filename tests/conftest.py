"""What the machine must have for a marked test, said once; and that no test may leave anything behind.

A test whose need is not met is skipped, with the reason in pytest's summary. With REQUIRE_ALL=1, as in CI, it fails.
"""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# Properties are not timed: a busy machine is no fault of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:trixie-slim")


def _missing_docker() -> str | None:
    if shutil.which("docker") is None:
        return "docker is not installed"
    for command, reason in (
        (["docker", "info"], "the Docker engine does not answer"),
        (["docker", "compose", "version"], "docker has no compose plugin"),
        (["docker", "buildx", "version"], "docker has no buildx plugin"),
    ):
        if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0:
            return reason
    have = ["docker", "image", "inspect", BASE_IMAGE]
    if subprocess.run(have, capture_output=True, timeout=60, check=False).returncode != 0:
        pull = subprocess.run(["docker", "pull", "-q", BASE_IMAGE], capture_output=True, timeout=300, check=False)
        if pull.returncode != 0:
            return f"the image {BASE_IMAGE} is not here and cannot be pulled"
    return None


def _missing_browser() -> str | None:
    found = any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return None if found else "chromium is not installed"


def _missing_nginx() -> str | None:
    return None if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") else "nginx is not installed"


NEEDS: dict[str, Callable[[], str | None]] = {
    "docker": functools.cache(_missing_docker),
    "browser": functools.cache(_missing_browser),
    "nginx": functools.cache(_missing_nginx),
}


def _restore_signals_for_children() -> None:
    """Let the processes that tests start have every signal's default, whatever this one was started with.

    `nohup` ignores SIGHUP and a shell's `&` SIGINT and SIGQUIT. A child inherits that, but not a handler: so this
    process stays as immune as it was, and what it starts is not. (`subprocess` restores SIGPIPE itself.) A process of
    pytest-xdist, which cannot know how pytest was started, leaves it to pytest to end at a hangup.
    """
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN}
    if "PYTEST_XDIST_WORKER" in os.environ:
        ignored.add(signal.SIGHUP)
    for number in ignored - {signal.SIGPIPE, signal.SIGXFSZ}:  # which Python itself ignores
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def pytest_configure(config: pytest.Config) -> None:
    """Watch every test for threads, descriptors and processes that it leaves. (The tests are no package.)"""
    _restore_signals_for_children()
    spec = importlib.util.spec_from_file_location("leaks", Path(__file__).with_name("leaks.py"))
    assert spec is not None
    assert spec.loader is not None
    leaks = importlib.util.module_from_spec(spec)
    sys.modules["leaks"] = leaks
    spec.loader.exec_module(leaks)
    config.pluginmanager.register(leaks, "leaks")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) is None:
            continue
        reason = missing()
        if reason is not None and os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, but {reason}", pytrace=False)
        elif reason is not None:
            pytest.skip(reason)
