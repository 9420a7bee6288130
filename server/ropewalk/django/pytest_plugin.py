"""Has Ropewalk serve the live tests of a pytest run: pytest-django's fixture `live_server`, and Django's test cases.

It is switched on by `-p ropewalk.django.pytest_plugin`, or `pytest_plugins = ["ropewalk.django.pytest_plugin"]` in the
conftest.py at the root of the tests, and never by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.test.testcases import LiveServerThread

from ropewalk._version import __version__
from ropewalk.django.server import ThreadedWSGIServer

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Exchange the server of every live server thread that has not one of its own, for this run."""
    original = LiveServerThread.server_class
    LiveServerThread.server_class = ThreadedWSGIServer  # type: ignore[assignment]  # as in `testcases`
    config.add_cleanup(lambda: setattr(LiveServerThread, "server_class", original))


def pytest_report_header() -> str:
    return f"live servers: ropewalk {__version__}"
