"""Tests of a project with pytest-django."""

import http.client
import os

import pytest
from shop.models import Customer


def fetch(url, path):
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.getheader("Server"), text


def test_live_server(live_server):
    Customer.objects.create(username="test")
    server, text = fetch(live_server.url, "/customers")
    assert text == "test"
    assert server.startswith(os.environ["EXPECTED"])
    assert fetch(live_server.url, "/static/shop/style.css")[1] == "body { color: black }\n"


@pytest.mark.django_db(transaction=True)
def test_live_server_again(live_server):
    assert fetch(live_server.url, "/add?name=server")[1] == "server"
    assert Customer.objects.get().username == "server"
