"""The judgement without a server: what a client observed, what the journal has, and which workers were killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faults.run.outcomes import Attempt, End, Outcome, WorkerDeath, judge, tally

PID, OTHER = 71, 72
COMPLETED = Attempt(
    token="kept-1",
    port=4000,
    began=10.0,
    ended=11.0,
    end=End.COMPLETE,
    is_first=False,
    received_bytes=200,
    status=200,
    is_right=True,
    pid=PID,
)
NOTHING_CAME = replace(COMPLETED, end=End.CLOSED, received_bytes=0, status=0, is_right=False, pid=0)
FIRST = replace(NOTHING_CAME, is_first=True)
RAN: dict[str, list[int]] = {"kept-1": [PID]}
DID_NOT_RUN: dict[str, list[int]] = {}


@pytest.mark.parametrize(
    ("attempt", "journal", "outcome"),
    [
        (COMPLETED, RAN, Outcome.COMPLETED),
        (COMPLETED, DID_NOT_RUN, Outcome.WRONG),
        (COMPLETED, {"kept-1": [OTHER]}, Outcome.WRONG),
        (replace(COMPLETED, is_right=False), RAN, Outcome.WRONG),
        (replace(COMPLETED, end=End.MALFORMED), RAN, Outcome.WRONG),
        (replace(COMPLETED, status=503, is_right=False, pid=0), DID_NOT_RUN, Outcome.ERROR_RESPONSE),
        (replace(COMPLETED, status=500, is_right=False, pid=0), RAN, Outcome.ERROR_RESPONSE),
        (replace(COMPLETED, status=302, is_right=False, pid=0), RAN, Outcome.WRONG),
        (NOTHING_CAME, DID_NOT_RUN, Outcome.IDLE_CLOSE),
        (replace(NOTHING_CAME, end=End.RESET), DID_NOT_RUN, Outcome.IDLE_CLOSE),
        (NOTHING_CAME, RAN, Outcome.LOST),
        (replace(NOTHING_CAME, received_bytes=50), DID_NOT_RUN, Outcome.LOST),
        (FIRST, DID_NOT_RUN, Outcome.LOST),
        (replace(FIRST, end=End.RESET), RAN, Outcome.LOST),
        (replace(COMPLETED, end=End.TIMEOUT), RAN, Outcome.TIMED_OUT),
        (replace(FIRST, end=End.NOT_CONNECTED), DID_NOT_RUN, Outcome.NOT_CONNECTED),
    ],
)
def test_an_end_is_judged_by_what_the_application_did(
    attempt: Attempt, journal: dict[str, list[int]], outcome: Outcome
) -> None:
    assert judge(attempt, journal, ()) is outcome


@pytest.mark.parametrize(
    ("death", "outcome"),
    [
        (WorkerDeath(PID, frozenset(), 10.5, 10.6), Outcome.ABORTED),  # it ran the request
        (WorkerDeath(OTHER, frozenset({4000}), 10.5, 10.6), Outcome.ABORTED),  # it held the connection
        (WorkerDeath(OTHER, frozenset({4000}), 9.8, 10.0), Outcome.ABORTED),  # the request could still be sent
        (WorkerDeath(OTHER, frozenset({4001}), 10.5, 10.6), Outcome.LOST),  # it held another connection
        (WorkerDeath(OTHER, frozenset({4000}), 9.0, 9.5), Outcome.LOST),  # an earlier connection of the port
        (WorkerDeath(OTHER, frozenset({4000}), 11.5, 11.6), Outcome.LOST),  # the connection ended before
    ],
)
def test_a_killed_worker_explains_what_it_held_and_nothing_else(death: WorkerDeath, outcome: Outcome) -> None:
    assert judge(FIRST, RAN, [death]) is outcome


def test_a_killed_worker_explains_neither_a_timeout_nor_a_wrong_response() -> None:
    death = WorkerDeath(PID, frozenset({4000}), 10.5, 10.6)
    assert judge(replace(FIRST, end=End.TIMEOUT), RAN, [death]) is Outcome.TIMED_OUT
    assert judge(replace(COMPLETED, is_right=False), RAN, [death]) is Outcome.WRONG


def test_what_is_allowed_for_probes_is_not_allowed_for_the_load() -> None:
    error = replace(COMPLETED, status=503, is_right=False)
    found = tally([COMPLETED, error, replace(error, is_probe=True)], RAN, ())
    allowed = frozenset({Outcome.ERROR_RESPONSE})
    assert found.sent == 3
    assert found.unexpected(frozenset(), frozenset()) == {"error response": 2}
    assert found.unexpected(frozenset(), allowed) == {"error response": 1}
    assert found.unexpected(allowed, frozenset()) == {"error response": 1}
    assert found.unexpected(allowed, allowed) == {}


def test_a_request_that_ran_twice_is_found_although_it_completed() -> None:
    found = tally([COMPLETED], {"kept-1": [PID, PID]}, ())
    assert found.counts[Outcome.COMPLETED] == 1
    assert found.unexpected(frozenset(Outcome), frozenset(Outcome)) == {"duplicated": 1}


def test_a_request_without_a_connection_is_not_counted_as_sent() -> None:
    assert tally([COMPLETED, replace(FIRST, end=End.NOT_CONNECTED)], RAN, ()).sent == 1


def test_the_slowest_does_not_count_the_time_that_was_requested() -> None:
    slow = replace(COMPLETED, ended=13.0, requested_seconds=1.0)
    assert tally([slow], RAN, ()).slowest == pytest.approx(2.0)
    assert tally([slow], RAN, ()).over_a_second == 1
