"""docs/http-conformance.md names tests that exist, and says where nothing is done."""

from __future__ import annotations

import re

import pytest

from tests.helpers.paths import REPOSITORY
from tests.helpers.wire.corpus import load_corpus

TESTS = REPOSITORY / "tests"
DOCUMENT = REPOSITORY / "docs/http-conformance.md"

ROWS = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if re.match(r"\| (?:\d|PEP)", line)]
CASES = {f"{case.topic}.wire: {case.name}" for case in load_corpus()}


def named_in(row: str) -> list[str]:
    cell = row.rstrip("|").rpartition("|")[2].strip()
    return re.split(r"; (?=[a-z_]+\.(?:wire|py): )", cell) if cell else []


def is_a_status(row: str) -> bool:
    return bool(re.match(r"\| [45]\d\d \|", row))


@pytest.mark.parametrize("row", [row for row in ROWS if not is_a_status(row)])
def test_every_row_names_its_tests_or_says_that_it_is_not_done(row: str):
    assert bool(named_in(row)) != ("**not done**" in row)


@pytest.mark.parametrize("name", sorted({name for row in ROWS if not is_a_status(row) for name in named_in(row)}))
def test_every_test_that_is_named_exists(name: str):
    file, _, function = name.partition(": ")
    if file.endswith(".wire"):
        assert name in CASES
    else:
        assert any(f"def {function}(" in path.read_text(encoding="utf-8") for path in TESTS.rglob(file))
