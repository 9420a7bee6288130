"""The control socket: commands that succeed, are refused, or cannot be understood."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from ropewalk.control.commands import MAX_COMMAND_OCTETS, CommandHandler
from ropewalk.control.inquiries import ControlHub
from ropewalk.control.server import ClientConnection
from ropewalk.process.master.api import MasterApi, Refused


class RecordingClient:
    """A connection that keeps what was sent."""

    def __init__(self) -> None:
        self.responses: list[dict[str, Any]] = []
        self.is_closed = False

    def send(self, octets: bytes, *, is_last: bool = False) -> None:
        self.responses.append(json.loads(octets))
        self.is_closed = is_last


class StoppingMaster:
    """A master that reloads, and refuses all else."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def workers(self) -> list[Any]:
        return []

    def reload(self) -> None:
        self.calls.append("reload")

    def upgrade(self) -> None:
        raise Refused("the server is stopping")

    def scale(self, workers: int) -> None:
        raise Refused(f"no room for {workers} workers")

    def stop(self, *, is_quick: bool) -> None:
        self.calls.append("stop quickly" if is_quick else "stop")


@pytest.fixture
def client() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def master() -> StoppingMaster:
    return StoppingMaster()


@pytest.fixture
def handler(client: RecordingClient, master: StoppingMaster) -> CommandHandler:
    hub = ControlHub()
    hub.attach(cast("MasterApi", master))
    return CommandHandler(hub, cast("ClientConnection", client))


@pytest.mark.parametrize(
    "line",
    [b"", b"hello", b"[]", b"5", b"{}", b"\xff", b"[" * 4000, b'{"command": null}', b'{"command": {"a": ["status"]}}'],
)
def test_line_that_is_no_command_is_refused_and_the_next_one_is_run(
    client: RecordingClient, handler: CommandHandler, line: bytes
) -> None:
    handler.receive(line + b'\n{"command": "reload"}\n')
    refused, done = client.responses
    assert refused["ok"] is False
    assert "command" in refused["error"]
    assert done == {"ok": True}


def test_command_may_come_in_pieces(client: RecordingClient, handler: CommandHandler) -> None:
    for octet in b'{"command": "reload"}\n':
        assert client.responses == []
        handler.receive(bytes([octet]))
    assert client.responses == [{"ok": True}]


def test_command_without_an_end_closes_the_connection(client: RecordingClient, handler: CommandHandler) -> None:
    handler.receive(b"x" * MAX_COMMAND_OCTETS)
    assert client.responses == []
    handler.receive(b"x")
    assert client.responses == [{"ok": False, "error": "a command must be at most 4096 bytes long"}]
    assert client.is_closed


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ({"command": "upgrade"}, "the server is stopping"),
        ({"command": "scale", "workers": 1024}, "no room for 1024 workers"),
        ({"command": "scale", "workers": 1025}, "workers: must be an integer from 1 to 1024"),
        ({"command": "scale", "workers": 0}, "workers: must be an integer from 1 to 1024"),
        ({"command": "scale", "workers": True}, "workers: must be an integer from 1 to 1024"),
        ({"command": "scale", "workers": "2"}, "workers: must be an integer from 1 to 1024"),
        ({"command": "scale"}, "workers: must be an integer from 1 to 1024"),
        ({"command": "dance"}, "no such command: dance"),
    ],
)
def test_refused_command_says_why(
    client: RecordingClient, handler: CommandHandler, command: dict[str, Any], error: str
) -> None:
    handler.receive(json.dumps(command).encode() + b"\n")
    assert client.responses == [{"ok": False, "error": error}]
    assert not client.is_closed


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ({"command": "reload"}, "reload"),
        ({"command": "stop"}, "stop"),
        ({"command": "stop", "quick": False}, "stop"),
        ({"command": "stop", "quick": True}, "stop quickly"),
    ],
)
def test_command_reaches_the_master(
    client: RecordingClient, handler: CommandHandler, master: StoppingMaster, command: dict[str, Any], call: str
) -> None:
    handler.receive(json.dumps(command).encode() + b"\n")
    assert client.responses == [{"ok": True}]
    assert master.calls == [call]
