"""Ropewalk in place of Django's own server: the command `runserver`, and the server of live tests.

"ropewalk.django" in INSTALLED_APPS replaces the command. In tests, `from ropewalk.django import LiveServerTestCase`
replaces the import from Django; with pytest, `-p ropewalk.django.pytest_plugin` has pytest-django's `live_server` use
this server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ropewalk.django.testcases import (
        LiveServerMixin,
        LiveServerTestCase,
        LiveServerThread,
        StaticLiveServerTestCase,
    )

__all__ = ["LiveServerMixin", "LiveServerTestCase", "LiveServerThread", "StaticLiveServerTestCase"]


def __getattr__(name: str) -> Any:
    """The classes for tests, loaded when they are asked for: `runserver` does without Django's test framework."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ropewalk.django import testcases

    return getattr(testcases, name)
