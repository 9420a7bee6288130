"""Django's own tests of its servers, on Django's servers and on ours. CONTRIBUTING.md says how to get them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile

import django
import pytest

from tests.helpers.paths import REPOSITORY

LABELS = (
    "servers",
    "staticfiles_tests.test_liveserver",
    "admin_scripts.tests.ManageRunserver",
    "admin_scripts.tests.ManageRunserverEmptyAllowedHosts",
    "admin_scripts.tests.ManageRunserverHelpOutput",
    "admin_scripts.tests.ManageRunserverMigrationWarning",
)

DIFFERENT = {
    # a response without a Content-Length comes in chunks, and its connection is kept
    "test_closes_connection_without_content_length",
    # a client's `Connection: close` is honoured
    "test_keep_alive_on_connection_with_content_length",
    "test_keep_alive_connection_clears_previous_request_data",
    # connections are kept without threads too
    "test_closes_connection_with_content_length",
}
"""What docs/development.md names as different."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the tests are. Only CI downloads them."""
    if named := os.environ.get("DJANGO_TESTS"):
        return named
    if os.environ.get("REQUIRE_ALL") != "1":
        pytest.skip("DJANGO_TESTS does not name the folder of Django's tests")
    target = tmp_path_factory.mktemp("django")
    source = ["--no-deps", "--no-binary", ":all:", f"django=={django.__version__}"]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", str(target), *source], check=True, timeout=300)
    [archive] = target.iterdir()
    with tarfile.open(archive) as opened:
        opened.extractall(target, filter="data")
    return str(target / archive.name.removesuffix(".tar.gz") / "tests")


@pytest.mark.parametrize(("which", "different"), [("django", set()), ("ropewalk", DIFFERENT)])
def test_servers_and_runserver(folder: str, which: str, different: set[str]) -> None:
    command = [sys.executable, "-m", "tests.helpers.django_suite", folder, which, *LABELS]
    env = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'server'}:{REPOSITORY}"}
    ran = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=300)
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+)", ran.stderr, re.M))
    assert failed == different, ran.stderr
    assert int(re.findall(r"^Ran (\d+) tests", ran.stderr, re.M)[0]) >= 45  # 5.2 has 49, of which SQLite skips 2
