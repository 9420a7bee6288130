"""The words that the project has given up stay out of its code and its pages.

Names are those that the field has (docs/glossary.md), and sentences are plain English. CHANGELOG.md tells history, and
is left alone.
"""

from __future__ import annotations

import io
import keyword
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

NOT_OURS = re.compile(r"LICENSE$|CHANGELOG\.md$|requirements\.txt$|\.(json|png|svg)$")
"""Licences, what is generated, and history."""

RETIRED = {
    "answer_head": "response_head",
    "bell": "wake listener",
    "chief": "master",
    "crew": "workers",
    "desk": "control listener",
    "heir": "successor",
    "heritage": "gc_freeze",
    "ledger": "shared counts",
    "logbook": "access logger",
    "office": "control hub",
    "outbox": "write buffer",
    "outfit": "factories",
    "overtake": "answer_instead",
    "own_fields": "default fields",
    "succession": "upgrade",
    "turns": "worker slot",
    "attended": "pollable",
    "inquire": "ask_workers",
    "superfluous": "to_drain",
    "supersede": "mark_outdated",
    "give_up_hope": "mark_unresponsive",
    "let_go": "release_listeners",
    "worker_view": "worker handle",
    "tls_terms": "tls config",
    "not_here": "unsupported",
}
"""Parts of names (`office` in `open_office`, `Office`, `OFFICE`), and what the thing is called now."""

IN_FRONT = (
    r"(?:(?:an?|the|this|its|your|each|another|several|trusted|such an?) )*"
    r"(?:(?:reverse|load|TLS|trusted) )*(?:nginx|prox(?:y|ies)|balancers?|gateways?|links?|symlinks?)\b"
)

GAP = r"\s+(?:#\s*)?"
"""Between two words, which may be the end of a line of a paragraph or of a comment."""

ENGLISH = {
    r"\btold\b": "logged, reported, sent, notified, seen",
    r"\bfor ever\b": "forever",
    r"\banew\b": "again",
    r"\bwhoever\b": "the client that, anyone who, whichever",
    r"\bstands\b(?! (?:for|by|in|alone|out)\b)": "is",
    r"\bwhat is left\b": "the rest, the remaining ...",
    rf"\bbehind\b(?! {IN_FRONT})": "after (behind is for what is in front of a server: behind nginx, behind a proxy)",
}

LEFT_BEHIND = re.compile(r"\b(?:leav\w+|left|lags?)\b[^.;:]{0,60}$", re.IGNORECASE)
"""What comes before `behind` where a thing is left behind."""


def our_files() -> list[str]:
    """Every text that we write, by its path in the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.splitlines() if not NOT_OURS.search(name) and (REPOSITORY / name).is_file()]
    return [name for name in files if name != "tests/test_words.py"]


pytestmark = pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="this is no checkout of git")
FILES = our_files() if (REPOSITORY / ".git").exists() else []


def names_in(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a module of Python calls by a name; and its own name, in line 0."""
    yield 0, path.stem
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
            yield token.start[0], token.string


def snake(name: str) -> str:
    """`open_office` for `OpenOffice` and for `OPEN_OFFICE`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def retired_in(name: str) -> list[str]:
    return [word for word in RETIRED if f"_{word}_" in f"_{snake(name)}_"]


@pytest.mark.parametrize("file", [name for name in FILES if name.endswith(".py")])
def test_names_are_the_fields(file: str) -> None:
    found = [
        f"{file}:{line}: {name} ({word} is now: {RETIRED[word]})"
        for line, name in names_in(REPOSITORY / file)
        for word in retired_in(name)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", FILES)
def test_english_is_plain(file: str) -> None:
    found = [f"{file}:{line}: {text}: {better}" for line, text, better in poor_english((REPOSITORY / file).read_text())]
    assert not found, "\n".join(found)


def poor_english(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, phrase and a better one."""
    for pattern, better in ENGLISH.items():
        for match in re.finditer(pattern.replace(" ", GAP), text, re.IGNORECASE):
            if match[0].lower() != "behind" or not LEFT_BEHIND.search(text[: match.start()]):
                yield text.count("\n", 0, match.start()) + 1, match[0], better


@pytest.mark.parametrize(
    "sentence",
    [
        "nginx is told about it",
        "kept for\n    # ever",
        "Whoever comes first",
        "a request behind another",
        "what is left of it",
        "written anew",
        "what stands there",
    ],
)
def test_poor_english_is_found(sentence: str) -> None:
    assert list(poor_english(sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "behind nginx, behind a trusted proxy and behind the\n  load balancer",
        "A test that leaves a thread behind fails. Nothing is left behind.",
        "forever, toldo, renewed; a name that stands for an address",
    ],
)
def test_plain_english_is_not(sentence: str) -> None:
    assert not list(poor_english(sentence))


@pytest.mark.parametrize("name", ["open_office", "Office", "OFFICE_HOURS", "_succession", "TlsTerms", "AnswerHead"])
def test_retired_names_are_found(name: str) -> None:
    assert retired_in(name)


@pytest.mark.parametrize("name", ["official", "WorkerSlot", "returns", "labels", "response_head"])
def test_other_names_are_not(name: str) -> None:
    assert not retired_in(name)
