"""The corpus itself: large enough, distinguished by name, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.wire.corpus import Reached, load_corpus, read_cases, unescape

CASES = load_corpus()


def test_corpus_has_at_least_three_hundred_cases():
    assert len(CASES) >= 300


def test_names_tell_cases_of_a_topic_apart():
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_octets_tell_cases_apart():
    """The same octets twice would only be a second opinion; cases of a CVE may repeat one of a topic."""
    raw = [case.raw for case in CASES if case.topic != "cve"]
    repeated = {case.name for case in CASES if case.topic != "cve" and raw.count(case.raw) > 1}
    assert not repeated


def test_each_case_names_the_clause_it_rests_on():
    assert not [case.name for case in CASES if not case.clause.startswith(("RFC ", "PEP 3333"))]


def test_a_refusal_is_the_last_response():
    for case in CASES:
        assert all(isinstance(outcome, Reached) for outcome in case.outcomes[:-1]), case.name


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (r"a\r\n\t\0\\\{", "a\r\n\t\0\\{"),
        (r"\x41\xff", "A\xff"),
        ("{ab*3}", "ababab"),
        (r"{{a*2}\r*2}", "aa\raa\r"),
        ("{**3}", "***"),
    ],
)
def test_escapes_and_repetitions(text: str, meaning: str):
    assert unescape(text) == meaning


@pytest.mark.parametrize("text", ["a}", "{a", "{a}", "{a*}", "{a*b}"])
def test_a_brace_that_is_no_repetition_is_a_fault(text: str):
    with pytest.raises(ValueError, match="is written"):
        unescape(text)


@pytest.mark.parametrize(
    "text",
    [
        "== a name\n| GET\n> 400\n",  # no clause
        "== a name\n   RFC\n> 400\n",  # no octets
        "== a name\n   RFC\n| GET\n",  # no outcome
        "== a name\n   RFC\n| GET\n> 400\n> GET /\n",  # something after the end
        "== a name\n   RFC\n| GET\n> GET / what\n",
        "== a name\n   RFC\nGET\n> 400\n",
    ],
)
def test_a_case_that_is_not_whole_is_a_fault(tmp_path: Path, text: str):
    path = tmp_path / "bad.wire"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"bad\.wire:[0-9]+: "):
        list(read_cases(path))
