"""The page about the server, the health check, and the answers that help to test a deployment."""

import hashlib
import logging
import os
import threading

import pytest
from django.db import DatabaseError
from django.test import Client

from sample_project import middleware
from served.facts import queue_seconds


@pytest.mark.parametrize(
    ("field_value", "seconds"),
    [
        ("t=1000.500", 1.5),
        ("t=1002", 0.0),
        ("t=2000.000", 0.0),
        ("", None),
        ("1000.5", None),
        ("t=nan", None),
        ("t=1e3", None),
    ],
)
def test_time_in_the_queue(field_value, seconds):
    assert queue_seconds(field_value, 1002.0) == seconds


def test_served_by_shows_what_the_application_sees(client):
    proxied = {"X-Request-ID": "abcdef0123456789", "X-Request-Start": "t=1.000", "X-Forwarded-For": "192.0.2.7"}
    served = client.get("/api/served-by", headers=proxied, SERVER_SOFTWARE="ropewalk/9.8").json()
    assert (served["backend"], served["backend_version"]) == ("ropewalk", "9.8")
    assert served["process"] == os.getpid()
    assert served["thread"] == threading.current_thread().name
    assert served["request_id"] == "abcdef0123456789"
    assert served["queue_milliseconds"] > 0
    assert served["proxy"] is True
    assert (served["scheme"], served["client_address"]) == ("http", "127.0.0.1")
    assert served["forwarded_for"] == "192.0.2.7"


def test_served_by_without_a_proxy(client):
    served = client.get("/api/served-by").json()
    assert served["proxy"] is False
    assert served["queue_milliseconds"] is None
    assert len(served["request_id"]) == 32


def test_served_by_for_a_person_is_not_cached(client):
    response = client.get("/served-by", SERVER_SOFTWARE="gunicorn/1")
    assert "Served by gunicorn" in response.text
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("field_value", ["short", "x" * 65, "with space 0123", "line\\nbreak0123", "<script>alert()"])
def test_a_request_id_that_is_none_is_replaced(client, field_value):
    served = client.get("/api/served-by", headers={"X-Request-ID": field_value}).json()
    assert served["request_id"] != field_value
    assert served["request_id_given"] is False


def test_log_records_carry_the_request_id(client):
    client.get("/", headers={"X-Request-ID": "abcdef0123456789"})
    record = logging.makeLogRecord({})
    assert middleware.RequestIdFilter().filter(record)
    assert record.request_id == "abcdef0123456789"


@pytest.mark.parametrize("host", ["localhost", "10.1.2.3:8000", "not a host"])
def test_health_does_not_look_at_the_host(client, host):
    response = client.get("/healthz", HTTP_HOST=host)
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert response["Cache-Control"] == "no-store"


def test_another_path_does_look_at_the_host(client):
    assert client.get("/", HTTP_HOST="evil.example").status_code == 400


def test_health_fails_with_the_database(client, monkeypatch):
    class Broken:
        def cursor(self):
            raise DatabaseError("password of somebody")

    monkeypatch.setattr(middleware, "connection", Broken())
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.content == b"the database does not respond\n"


def test_health_is_asked_with_get_or_head(client):
    assert client.head("/healthz").status_code == 200
    assert client.post("/healthz").status_code == 405


def test_echo_shows_the_request(client):
    response = client.put("/api/echo/a/b?x=1&x=2&y=", b"hemp" * 40_000, content_type="text/plain", headers={"Q": "z"})
    echo = response.json()
    assert (echo["method"], echo["path"], echo["tail"]) == ("PUT", "/api/echo/a/b", "a/b")
    assert echo["query_string"] == "x=1&x=2&y="
    assert echo["query"] == {"x": ["1", "2"], "y": [""]}
    assert echo["headers"]["Q"] == "z"
    assert echo["body"] == {"length": 160_000, "sha256": hashlib.sha256(b"hemp" * 40_000).hexdigest()}


def test_echo_does_not_tell_the_session():
    echo = Client().get("/api/echo", headers={"Cookie": "a=1; sessionid=hidden; csrftoken=alsohidden; b=2"}).json()
    assert echo["headers"]["Cookie"] == "a=1; sessionid=(hidden); csrftoken=(hidden); b=2"


def test_slow_waits_and_says_so(client):
    assert client.get("/slow?seconds=0.01").content == b"waited 0.01 s\n"


@pytest.mark.parametrize(
    "query", ["slow?seconds=31", "slow?seconds=nan", "stream?pieces=1001", "stream?pieces=1000&delay=1"]
)
def test_what_would_hold_a_thread_too_long_is_refused(client, query):
    response = client.get(f"/{query}")
    assert response.status_code == 400
    assert "must be" in response.json()["error"]


def test_stream_sends_so_many_pieces(client):
    response = client.get("/stream?pieces=3&size=10")
    assert list(response.streaming_content) == [b"000000 00\n", b"000001 00\n", b"000002 00\n"]


def test_a_view_that_raises_answers_with_the_page_for_it(client):
    response = client.get("/raise")
    assert response.status_code == 500
    assert "Something went wrong" in response.text
    assert "DeliberateError" not in response.text


def test_a_path_outside_of_ascii_is_read_and_written(client):
    assert client.get("/redirect")["Location"] == "/h%C3%A4fen/malm%C3%B6"
    assert client.get("/häfen/malmö").content.decode() == "Hafen: malmö\n"


def test_several_cookies_are_set(client):
    response = client.get("/cookies")
    assert set(response.cookies) == {"hemp", "tar", "yarns", "knot"}
    assert response.cookies["knot"]["max-age"] == 0


def test_an_unknown_address_has_its_own_page(client):
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "Page not found" in response.text
