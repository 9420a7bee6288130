"""A pytest plugin: what a marked test needs of this machine.

A test whose need is not met is skipped, with the reason in pytest's summary. With REQUIRE_ALL=1, as in CI, it fails.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:trixie-slim")
ONE_BUILD_AT_A_TIME = Path(__file__).with_name("bin")
"""A folder with a program `docker`."""


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


def find_browser() -> str | None:
    """The path of chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def _missing_browser() -> str | None:
    return None if find_browser() else "chromium is not installed"


def _missing_nginx() -> str | None:
    return None if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") else "nginx is not installed"


def _missing_stdlib_tests() -> str | None:
    found = importlib.util.find_spec("test")
    is_there = found is not None and importlib.util.find_spec("test.test_wsgiref") is not None
    return None if is_there else "this Python comes without test.test_wsgiref"


def _missing_shells() -> str | None:
    missing = [shell for shell in ("bash", "fish", "zsh") if not shutil.which(shell)]
    return f"not installed: {', '.join(missing)}" if missing else None


NEEDS: dict[str, Callable[[], str | None]] = {
    "docker": functools.cache(_missing_docker),
    "browser": functools.cache(_missing_browser),
    "nginx": functools.cache(_missing_nginx),
    "shells": functools.cache(_missing_shells),
    "stdlib_tests": functools.cache(_missing_stdlib_tests),
}


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    if str(ONE_BUILD_AT_A_TIME) not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{ONE_BUILD_AT_A_TIME}{os.pathsep}{os.environ['PATH']}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) is None:
            continue
        reason = missing()
        if reason is not None and os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, but {reason}", pytrace=False)
        elif reason is not None:
            pytest.skip(reason)
