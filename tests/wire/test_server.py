"""Every case through a real server over real sockets: whole, octet by octet, with a next request.

`WIRE_TARGET=HOST:PORT` runs them against another address instead, where `recorder.py` is served. With
`WIRE_RELATION=stricter`, for a proxy in front, a request may be refused that should reach the application, and one may
be mended by the proxy before it does; but no connection may make the application see a request for which the client
got no response, or more requests than it sent, or other content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

import ropewalk
from tests.helpers.wire.client import Conversation, converse
from tests.helpers.wire.corpus import Case, Reached, load_corpus
from tests.helpers.wire.recorder import FORGET, Recorder

CASES = load_corpus()

TARGET = os.environ.get("WIRE_TARGET", "")
IS_STRICTER = os.environ.get("WIRE_RELATION", "same") == "stricter"

MANY_PIECES = 600
"""A longer case is sent in this many pieces, not octet by octet."""


class Target:
    """Where the cases are sent, and what the application there saw."""

    def __init__(self, address: tuple[str, int], recorder: Recorder | None) -> None:
        self.address = address
        self._recorder = recorder

    def run(self, case: Case, step: int) -> tuple[Conversation, list[dict[str, Any]]]:
        """Send a case in pieces of `step` octets."""
        pieces = [case.raw[at : at + step] for at in range(0, len(case.raw), step)]
        methods = [outcome.method if isinstance(outcome, Reached) else "" for outcome in case.outcomes]
        conversation = converse(
            self.address, pieces, responses=len(case.outcomes), methods=methods, stays_open=not case.closes
        )
        return conversation, self._seen(conversation.port)

    def _seen(self, port: int) -> list[dict[str, Any]]:
        if self._recorder is not None:
            return self._recorder.take(port)
        request = f"GET {FORGET} HTTP/1.1\r\nHost: recorder\r\nConnection: close\r\n\r\n".encode()
        conversation = converse(self.address, [request], responses=1, stays_open=False)
        return json.loads(conversation.responses[0].content)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    if TARGET:
        host, _, port = TARGET.rpartition(":")
        yield Target((host, int(port)), None)
        return
    recorder = Recorder()
    with ropewalk.Server(recorder, bind="127.0.0.1:0", threads=4) as server:
        yield Target(server.address, recorder)


def check(case: Case, conversation: Conversation, seen: list[dict[str, Any]]) -> None:
    if IS_STRICTER:
        check_stricter(case, conversation, seen)
        return
    assert conversation.statuses == case.statuses
    assert conversation.surplus == b""
    assert conversation.ended == case.closes
    assert len(seen) == len(case.reached)
    for facts, reached in zip(seen, case.reached, strict=True):
        check_facts(facts, reached)
    check_responses(case, conversation)


def check_facts(facts: dict[str, Any], reached: Reached) -> None:
    request = (facts["method"], facts["path"], facts["query"], facts["body"])
    assert request == (reached.method, reached.path, reached.query, reached.body)
    environ = facts["environ"]
    assert {key: environ.get(key) for key in reached.environ} == reached.environ
    assert not environ.keys() & set(reached.absent)


def check_responses(case: Case, conversation: Conversation) -> None:
    for response in conversation.responses:
        assert "date" in response.fields  # RFC 9110 section 6.6.1
    for at, response in enumerate(conversation.responses, 1):
        # RFC 9112 section 9.6: the last response of a connection says so, and no other does.
        is_last = case.closes and at == len(conversation.responses)
        assert (response.fields.get("connection") == "close") == is_last
    if conversation.responses and conversation.statuses[-1] != 200:
        response = conversation.responses[-1]
        assert response.content.decode().startswith(f"{response.status_code} ")
        assert response.content.count(b"\n") == 1  # the status, and nothing of what was sent


def check_stricter(case: Case, conversation: Conversation, seen: list[dict[str, Any]]) -> None:
    answered = [json.loads(response.content) for response in conversation.responses if response.content[:1] == b"{"]
    heads = sum(1 for facts in seen if facts["method"] == "HEAD")
    assert len(answered) + heads <= len(seen) <= len(conversation.responses) + (not conversation.responses)
    assert len(seen) <= len(case.outcomes)
    for facts, outcome in zip(seen, case.outcomes, strict=False):
        if isinstance(outcome, Reached):
            assert (facts["method"], facts["body"]) == (outcome.method, outcome.body)


def step_of(case: Case) -> int:
    return 1 if len(case.raw) <= MANY_PIECES else len(case.raw) // MANY_PIECES + 1


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whole(case: Case, target: Target):
    check(case, *target.run(case, len(case.raw)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_octet_by_octet(case: Case, target: Target):
    check(case, *target.run(case, step_of(case)))


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_incomplete], ids=str)
def test_case_with_a_next_request(case: Case, target: Target):
    """It is answered when the connection goes on, and never reaches the application when it does not."""
    extended = case.with_next()
    check(extended, *target.run(extended, len(extended.raw)))
    check(extended, *target.run(extended, step_of(extended)))
