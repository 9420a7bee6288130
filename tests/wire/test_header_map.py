"""Field names with an underscore, by --header-map and --forwarder-headers: cases through a real server each."""

from __future__ import annotations

from typing import Any

import pytest

import ropewalk
from tests.helpers.embedded import Talk
from tests.helpers.paths import REPOSITORY
from tests.helpers.wire.corpus import Case, read_cases
from tests.helpers.wire.recorder import Recorder
from tests.wire.test_server import Target, check, step_of

SETTINGS: dict[str, dict[str, Any]] = {
    "refuse": {"header_map": "refuse"},
    "dangerous": {"header_map": "dangerous"},
    "forwarder": {"forwarder_headers": "SCRIPT_NAME,REMOTE_USER", "script_name": "/shop"},
}
CASES = {topic: list(read_cases(REPOSITORY / f"tests/wire/header_map/{topic}.wire")) for topic in SETTINGS}

OF_A_STRANGER = b"GET /shop HTTP/1.1\r\nHost: a\r\nREMOTE_USER: bob\r\nSCRIPT_NAME: /evil\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases], ids=str)
def test_case(case: Case) -> None:
    recorder = Recorder()
    with ropewalk.Server(recorder, bind="127.0.0.1:0", threads=2, **SETTINGS[case.topic]) as server:
        target = Target(server.address, recorder)
        check(case, *target.run(case, len(case.raw)))
        check(case, *target.run(case, step_of(case)))


@pytest.mark.parametrize(("mode", "status"), [("drop", b"200"), ("refuse", b"400"), ("dangerous", b"200")])
def test_names_of_proxies_from_others_are_refused_or_dropped(talk: Talk, mode: str, status: bytes) -> None:
    recorder = Recorder()
    settings = {**SETTINGS["forwarder"], "header_map": mode, "forwarded_allow_ips": "192.0.2.1"}
    response = talk.ask(recorder, OF_A_STRANGER, **settings)
    assert response.startswith(b"HTTP/1.1 " + status)
    for facts in recorder.take_all():
        assert facts["environ"]["SCRIPT_NAME"] == "/shop"
        assert not facts["environ"].keys() & {"HTTP_REMOTE_USER", "HTTP_SCRIPT_NAME"}
