"""That a server answers rightly, before it is timed: status, length and content, twice on one connection."""

from __future__ import annotations

import http.client
import json

from bench.scenarios import Scenario

HELLO = b"Hello, world!"
MEBIBYTE = bytes(range(256)) * 4096
FILE_MEBIBYTES = 10


def request_content(scenario: Scenario) -> bytes:
    """What wrk sends too (report.lua)."""
    return b"0123456789abcdef" * (scenario.content // 16)


def right_content(scenario: Scenario) -> bytes:
    """The content of the right answer."""
    if scenario.content:
        return request_content(scenario)
    if scenario.application == "django_json":
        greeting = {"message": "Hello, world!", "numbers": list(range(10)), "path": scenario.path}
        return json.dumps(greeting).encode()
    if scenario.application == "megabyte" and scenario.path != "/hello":
        return MEBIBYTE
    if scenario.application == "file":
        return MEBIBYTE * FILE_MEBIBYTES
    return b"x" * 64 * 1024 if scenario.application == "chunks" else HELLO


def fault(scenario: Scenario, bind: str) -> str:
    """Ask twice; return what is wrong with an answer, or nothing."""
    content, right = request_content(scenario), right_content(scenario)
    host, _, port = bind.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        for _ in range(2):
            connection.request("POST" if content else "GET", scenario.path, body=content or None)
            answer = connection.getresponse()
            found = answer.read()
            if answer.status != 200:
                return f"status {answer.status} instead of 200"
            if len(found) != len(right):
                return f"{len(found)} octets instead of {len(right)}"
            if found != right:
                return "other content"
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return ""
