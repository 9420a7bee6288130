"""Django's live server test cases, whose server is Ropewalk. Everything else about them is Django's."""

from __future__ import annotations

from django.contrib.staticfiles import testing
from django.test import testcases

from ropewalk.django.server import ThreadedWSGIServer


class LiveServerThread(testcases.LiveServerThread):
    """The thread of the server; `httpd` is the server."""

    server_class = ThreadedWSGIServer  # type: ignore[assignment]  # what Django uses of its own, this has


class LiveServerMixin:
    """For a live server test case of another package, before it among the bases."""

    server_thread_class = LiveServerThread


class LiveServerTestCase(LiveServerMixin, testcases.LiveServerTestCase):
    """In place of `django.test.LiveServerTestCase`: serves the static files in STATIC_ROOT."""


class StaticLiveServerTestCase(LiveServerMixin, testing.StaticLiveServerTestCase):
    """In place of Django's of the same name: serves static files where the finders find them."""
