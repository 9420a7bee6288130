"""What a live server of Django's does not: it is ours, and waits for the requests that run when it ends."""

import threading
import urllib.request
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.test import LiveServerTestCase as TestCaseOfDjango

from ropewalk.django import LiveServerMixin, LiveServerTestCase, StaticLiveServerTestCase, server
from shop.models import Customer


class Named:
    def test_server_is_ours(self):
        with urllib.request.urlopen(self.live_server_url, timeout=20) as response:
            self.assertEqual(response.headers["Server"], "ropewalk")


class OfOurs(Named, LiveServerTestCase):
    """The test case to import in place of Django's."""


class OfOursWithStaticFiles(Named, StaticLiveServerTestCase):
    """The same for the other one."""


class OfAnotherPackage(Named, LiveServerMixin, TestCaseOfDjango):
    """One that is not ours, with the mixin."""


class EndOfStreams(LiveServerTestCase):
    def test_responses_that_stream_are_not_waited_for(self):
        replaced = patch.object(server, "FINISH_SECONDS", 1000)
        replaced.start()
        self.addCleanup(replaced.stop)
        with urllib.request.urlopen(self.live_server_url + "/events", timeout=20) as response:
            self.assertEqual(response.readline(), b"data: still here\n")
            ending = threading.Thread(target=self.server_thread.terminate, daemon=True)
            ending.start()
            ending.join(20)
            self.assertFalse(ending.is_alive())


class EndOfRequests(LiveServerTestCase):
    def test_requests_that_run_are_finished(self):
        Customer.objects.create(username="test")
        texts = []

        def ask():
            with urllib.request.urlopen(self.live_server_url + "/waits", timeout=20) as response:
                texts.append(response.read())

        asking = threading.Thread(target=ask)
        asking.start()
        while not Path(settings.FOLDER, "is-waiting").exists():
            threading.Event().wait(0.01)
        ending = threading.Thread(target=self.server_thread.terminate)
        ending.start()
        ending.join(0.2)
        self.assertTrue(ending.is_alive())
        may_end = Path(settings.FOLDER, "may-end")
        self.addCleanup(may_end.unlink)
        may_end.touch()
        ending.join(20)
        asking.join(20)
        self.assertEqual(texts, [b"1"])
