"""Live server test cases: the scenarios of the project's own tests, on Django's server and on ours."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.django_site import Site


@pytest.fixture(params=["memory", "file"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The variable for a database of the tests in memory, which all threads share, or in a file."""
    return {} if request.param == "memory" else {"TEST_DATABASE": str(tmp_path / "test.sqlite3")}


@pytest.mark.parametrize("module", ["django", "ropewalk.django"])
def test_scenarios_are_the_same_on_both(
    make_site: Callable[[str], Site], module: str, database: dict[str, str]
) -> None:
    site = make_site("django")
    (site.folder / "collected").mkdir()
    (site.folder / "collected/collected.txt").write_text("collected")
    (site.folder / "media").mkdir()
    (site.folder / "media/photo.txt").write_text("photo")
    running = site.run("test", "shop.test_live", LIVE_TESTS=module, **database)
    assert running.wait_exit() == 0, running.output
    assert re.search(r"Ran 12 tests in .*\n\nOK$", running.output, re.M), running.output


def test_test_cases_are_served_by_ours_which_finishes_requests(ours: Site, database: dict[str, str]) -> None:
    running = ours.run("test", "shop.test_ours", **database)
    assert running.wait_exit() == 0, running.output
    assert "Ran 5 tests" in running.output


@pytest.mark.parametrize(
    ("options", "conftest", "expected"),
    [
        ([], "", "WSGIServer"),
        (["-p", "ropewalk.django.pytest_plugin"], "", "ropewalk"),
        ([], 'pytest_plugins = ["ropewalk.django.pytest_plugin"]\n', "ropewalk"),
    ],
    ids=["without", "option", "conftest"],
)
def test_fixture_of_pytest_django_is_served_if_the_plugin_is_switched_on(
    ours: Site, options: list[str], conftest: str, expected: str
) -> None:
    (ours.folder / "conftest.py").write_text(conftest)
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "--ds", "shop.settings", *options, "test_with_pytest.py"]
    running = ours.run_python(*arguments, EXPECTED=expected)
    assert running.wait_exit() == 0, running.output
    assert "2 passed" in running.output
    assert ("live servers: ropewalk" in running.output) == (expected == "ropewalk")


def test_nothing_of_django_is_loaded_for_the_package_alone() -> None:
    """INSTALLED_APPS loads the package before anything is set up; `runserver` needs no test framework."""
    program = "import sys, ropewalk.django; print([each for each in sys.modules if each.startswith('django')])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
