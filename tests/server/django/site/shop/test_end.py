"""What a live server of Django's does not: it waits for the requests that run when it ends."""

import threading
import urllib.request
from pathlib import Path

from django.conf import settings

from ropewalk.django import LiveServerTestCase
from shop.models import Customer


class End(LiveServerTestCase):
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
        Path(settings.FOLDER, "may-end").touch()
        ending.join(20)
        asking.join(20)
        self.assertEqual(texts, [b"1"])
