"""Checks a server before it is timed: two requests on one connection, each with the right status and content."""

from __future__ import annotations

import http.client
import json

from bench.scenarios import Scenario

HELLO = b"Hello, world!"
MEBIBYTE = bytes(range(256)) * 4096
FILE_MEBIBYTES = 10


def request_content(scenario: Scenario) -> bytes:
    """The content of a request, as wrk.lua sends it."""
    return b"0123456789abcdef" * (scenario.content_bytes // 16)


def response_content(scenario: Scenario) -> bytes:
    """The content of a correct response."""
    if scenario.content_bytes:
        return request_content(scenario)
    if scenario.application == "django_json":
        greeting = {"message": "Hello, world!", "numbers": list(range(10)), "path": scenario.path}
        return json.dumps(greeting).encode()
    if scenario.application == "megabyte" and scenario.path != "/hello":
        return MEBIBYTE
    if scenario.application == "file":
        return MEBIBYTE * FILE_MEBIBYTES
    return b"x" * 64 * 1024 if scenario.application == "chunks" else HELLO


def check(scenario: Scenario, bind: str) -> str:
    """Send two requests; return what is wrong with a response, or an empty string."""
    content, expected = request_content(scenario), response_content(scenario)
    host, _, port = bind.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        for _ in range(2):
            connection.request("POST" if content else "GET", scenario.path, body=content or None)
            response = connection.getresponse()
            found = response.read()
            if response.status != 200:
                return f"status {response.status} instead of 200"
            if len(found) != len(expected):
                return f"{len(found)} bytes instead of {len(expected)}"
            if found != expected:
                return "wrong content"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return ""
