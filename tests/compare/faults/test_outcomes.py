"""The judgement, without a server: a request as its client saw it, what the journal has, who was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faults.outcomes import Attempt, Death, End, Outcome, judge, tally

PID, OTHER = 71, 72
KEPT = Attempt(
    token="kept-1",
    port=4000,
    began=10.0,
    ended=11.0,
    end=End.WHOLE,
    is_first=False,
    octets=200,
    status=200,
    is_right=True,
    pid=PID,
)
NOTHING_CAME = replace(KEPT, end=End.EOF, octets=0, status=0, is_right=False, pid=0)
FIRST = replace(NOTHING_CAME, is_first=True)
RAN: dict[str, list[int]] = {"kept-1": [PID]}
NOT_RUN: dict[str, list[int]] = {}


@pytest.mark.parametrize(
    ("attempt", "journal", "outcome"),
    [
        (KEPT, RAN, Outcome.ANSWERED),
        (KEPT, NOT_RUN, Outcome.WRONG),
        (KEPT, {"kept-1": [OTHER]}, Outcome.WRONG),
        (replace(KEPT, is_right=False), RAN, Outcome.WRONG),
        (replace(KEPT, end=End.GARBLED), RAN, Outcome.WRONG),
        (replace(KEPT, status=503, is_right=False, pid=0), NOT_RUN, Outcome.REFUSED),
        (replace(KEPT, status=500, is_right=False, pid=0), RAN, Outcome.REFUSED),
        (replace(KEPT, status=302, is_right=False, pid=0), RAN, Outcome.WRONG),
        (NOTHING_CAME, NOT_RUN, Outcome.CLOSED_IDLE),
        (replace(NOTHING_CAME, end=End.RESET), NOT_RUN, Outcome.CLOSED_IDLE),
        (NOTHING_CAME, RAN, Outcome.LOST),
        (replace(NOTHING_CAME, octets=50), NOT_RUN, Outcome.LOST),
        (FIRST, NOT_RUN, Outcome.LOST),
        (replace(FIRST, end=End.RESET), RAN, Outcome.LOST),
        (replace(KEPT, end=End.SILENCE), RAN, Outcome.HUNG),
        (replace(FIRST, end=End.UNREACHED), NOT_RUN, Outcome.UNREACHED),
    ],
)
def test_an_end_is_judged_by_what_the_application_did(
    attempt: Attempt, journal: dict[str, list[int]], outcome: Outcome
) -> None:
    assert judge(attempt, journal, ()) is outcome


@pytest.mark.parametrize(
    ("death", "outcome"),
    [
        (Death(PID, frozenset(), 10.5, 10.6), Outcome.ABORTED),  # it ran the request
        (Death(OTHER, frozenset({4000}), 10.5, 10.6), Outcome.ABORTED),  # it held the connection
        (Death(OTHER, frozenset({4000}), 9.8, 10.0), Outcome.ABORTED),  # to which the request was still written
        (Death(OTHER, frozenset({4001}), 10.5, 10.6), Outcome.LOST),  # another's
        (Death(OTHER, frozenset({4000}), 9.0, 9.5), Outcome.LOST),  # the port's earlier connection
        (Death(OTHER, frozenset({4000}), 11.5, 11.6), Outcome.LOST),  # it was cut before
    ],
)
def test_a_killed_worker_explains_what_it_held_and_nothing_else(death: Death, outcome: Outcome) -> None:
    assert judge(FIRST, RAN, [death]) is outcome


def test_a_killed_worker_explains_neither_silence_nor_a_wrong_answer() -> None:
    death = Death(PID, frozenset({4000}), 10.5, 10.6)
    assert judge(replace(FIRST, end=End.SILENCE), RAN, [death]) is Outcome.HUNG
    assert judge(replace(KEPT, is_right=False), RAN, [death]) is Outcome.WRONG


def test_what_is_allowed_to_the_scenario_is_not_allowed_to_the_load() -> None:
    refused = replace(KEPT, status=503, is_right=False)
    found = tally([KEPT, refused, replace(refused, is_special=True)], RAN, ())
    assert found.sent == 3
    assert found.unexpected(frozenset(), frozenset()) == {"refused": 2}
    assert found.unexpected(frozenset(), frozenset({Outcome.REFUSED})) == {"refused": 1}
    assert found.unexpected(frozenset({Outcome.REFUSED}), frozenset()) == {"refused": 1}
    assert found.unexpected(frozenset({Outcome.REFUSED}), frozenset({Outcome.REFUSED})) == {}


def test_a_request_that_was_run_twice_is_found_though_it_was_answered() -> None:
    found = tally([KEPT], {"kept-1": [PID, PID]}, ())
    assert found.counts[Outcome.ANSWERED] == 1
    assert found.unexpected(frozenset(Outcome), frozenset(Outcome)) == {"run twice": 1}


def test_a_request_without_a_connection_is_not_counted_as_sent() -> None:
    assert tally([KEPT, replace(FIRST, end=End.UNREACHED)], RAN, ()).sent == 1


def test_the_slowest_is_told_over_what_was_asked_for() -> None:
    slow = replace(KEPT, ended=13.0, asked_seconds=1.0)
    assert tally([slow], RAN, ()).slowest == pytest.approx(2.0)
    assert tally([slow], RAN, ()).over_a_second == 1
