"""Scenarios of live server tests. The variable LIVE_TESTS is the module of the test cases: Django's, or ours."""

import errno
import http.client
import os
import socket
import threading
import urllib.error
import urllib.request
from importlib import import_module

from django.conf import settings
from django.contrib.staticfiles.testing import StaticLiveServerTestCase as StaticTestCase
from django.db.backends.signals import connection_created
from django.test import LiveServerTestCase as TestCase

from shop.models import Customer

if os.environ["LIVE_TESTS"] != "django":
    module = import_module(os.environ["LIVE_TESTS"])
    TestCase, StaticTestCase = module.LiveServerTestCase, module.StaticLiveServerTestCase

created = []


def fetch(case, path):
    with urllib.request.urlopen(case.live_server_url + path, timeout=20) as response:
        return response.read().decode()


def status_of(case, path):
    try:
        fetch(case, path)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


class Databases(TestCase):
    def test_server_and_test_see_each_other_s_rows(self):
        for round in range(2):
            Customer.objects.create(username=f"test{round}")
            self.assertEqual(fetch(self, f"/add?name=server{round}"), f"server{round}")
        self.assertEqual(Customer.objects.count(), 4)
        self.assertEqual(fetch(self, "/customers"), "server0 server1 test0 test1")

    def test_each_test_begins_with_an_empty_table(self):
        self.assertEqual(fetch(self, "/customers"), "")

    def test_requests_at_the_same_time(self):
        texts = []
        threads = [
            threading.Thread(target=lambda number=number: texts.append(fetch(self, f"/add?name={number}")))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(texts), [str(number) for number in range(8)])


class ClosedConnections(TestCase):
    """CONN_MAX_AGE is None: nothing else closes the connections that the server's threads have opened."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        created.clear()
        connection_created.connect(cls.note)

    @classmethod
    def note(cls, connection, **_):
        if threading.current_thread() is not threading.main_thread():
            created.append(connection)

    @classmethod
    def tearDownClass(cls):
        connection_created.disconnect(cls.note)
        cls.doClassCleanups()
        is_memory = "memory" in str(settings.DATABASES["default"]["NAME"])
        if not is_memory and not created:
            raise AssertionError("the server opened no connection")
        if [each for each in created if each.connection is not None]:
            raise AssertionError("a connection is open")
        super().tearDownClass()

    def test_a_request(self):
        self.assertEqual(fetch(self, "/customers"), "")
        self.assertEqual(status_of(self, "/fails-in-wsgi"), 404)

    def test_an_exception(self):
        client = http.client.HTTPConnection(self.server_thread.host, self.server_thread.port, timeout=20)
        client.request("GET", "/fails")
        response = client.getresponse()
        response.read()
        self.assertEqual(response.status, 500)
        client.request("GET", "/customers")  # the connection stays open, until the server ends
        self.assertEqual(client.getresponse().status, 200)
        self.addClassCleanup(client.close)


class Files(TestCase):
    def test_static_files_are_those_of_static_root(self):
        self.assertEqual(fetch(self, "/static/collected.txt"), "collected")
        self.assertEqual(status_of(self, "/static/shop/style.css"), 404)

    def test_media_files(self):
        self.assertEqual(fetch(self, "/media/photo.txt"), "photo")


class FoundFiles(StaticTestCase):
    def test_static_files_are_those_of_the_finders(self):
        self.assertEqual(fetch(self, "/static/shop/style.css"), "body { color: black }\n")
        self.assertEqual(status_of(self, "/static/collected.txt"), 404)


class Servers(TestCase):
    def test_another_application_while_it_serves(self):
        def other(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            return [b"other"]

        httpd = self.server_thread.httpd
        before = httpd.get_app()
        self.addCleanup(httpd.set_app, before)
        self.assertEqual(fetch(self, "/"), "hello")
        httpd.set_app(other)
        self.assertEqual(fetch(self, "/"), "other")

    def test_each_has_a_port_of_its_own_or_the_one_that_is_given(self):
        another = type("Another", (TestCase,), {})
        another._start_server_thread()
        self.addCleanup(another.doClassCleanups)
        self.assertNotEqual(another.live_server_url, self.live_server_url)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        third = type("Third", (TestCase,), {"port": port, "host": "127.0.0.1"})
        third._start_server_thread()
        self.addCleanup(third.doClassCleanups)
        self.assertEqual(third.live_server_url, f"http://127.0.0.1:{port}")

    def test_port_in_use_is_an_error_of_the_test(self):
        taken = type("Taken", (TestCase,), {"port": self.server_thread.port})
        with self.assertRaises(OSError) as caught:
            taken._start_server_thread()
        self.addCleanup(taken.doClassCleanups)
        self.assertEqual(caught.exception.errno, errno.EADDRINUSE)

    def test_end_does_not_wait_for_a_client_that_keeps_its_connection(self):
        another = type("Another", (TestCase,), {})
        another._start_server_thread()
        thread = another.server_thread
        client = http.client.HTTPConnection(thread.host, thread.port, timeout=20)
        self.addCleanup(client.close)
        client.request("GET", "/")
        self.assertEqual(client.getresponse().read(), b"hello")
        another.doClassCleanups()
        self.assertFalse(thread.is_alive())
        with self.assertRaises(OSError):
            socket.create_connection((thread.host, thread.port), 20)
