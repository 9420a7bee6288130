from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.django_site import SERVERS, Site
from tests.helpers.processes import Starter

collect_ignore = ["site"]  # the tests of the project, which run in it


@pytest.fixture
def make_site(tmp_path: Path, start: Starter) -> Callable[[str], Site]:
    return lambda server: Site(server, tmp_path / server, start)


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, make_site: Callable[[str], Site]) -> Site:
    """The project with each of the servers."""
    return make_site(request.param)


@pytest.fixture
def ours(make_site: Callable[[str], Site]) -> Site:
    return make_site("ropewalk")


@pytest.fixture
def both(make_site: Callable[[str], Site]) -> list[Site]:
    """The project with Django's server, and with ours."""
    return [make_site(server) for server in SERVERS]
