"""The control socket and who says there what is no command."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from ropewalk.control.commands import CommandHandler
from ropewalk.control.inquiries import ControlHub
from ropewalk.control.server import ClientConnection


class Listening:
    """A conversation that keeps what was sent."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        self.answers.append(json.loads(octets))


class MasterApi:
    def reload(self) -> str:
        return ""


@pytest.fixture
def peer() -> Listening:
    return Listening()


@pytest.fixture
def commander(peer: Listening) -> CommandHandler:
    office = ControlHub()
    office.chief = cast("Any", MasterApi())
    return CommandHandler(office, cast("ClientConnection", peer))


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"[]", b"5", b"{}", b"\xff", b"[" * 4000, b'{"command": null}', b'{"command": {"a": ["status"]}}'],
)
def test_unknown_command_is_reported_and_the_next_one_is_run(
    peer: Listening, commander: CommandHandler, line: bytes
) -> None:
    commander.receive(line + b'\n{"command": "reload"}\n')
    refused, done = peer.answers
    assert refused["ok"] is False
    assert "command" in refused["error"]
    assert done == {"ok": True}


def test_a_command_may_come_in_pieces(peer: Listening, commander: CommandHandler) -> None:
    for octet in b'{"command": "reload"}\n':
        assert peer.answers == []
        commander.receive(bytes([octet]))
    assert peer.answers == [{"ok": True}]
