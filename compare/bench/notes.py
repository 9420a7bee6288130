"""What people found out about the rows that were not reached: notes.toml, which a new run leaves as it is.

By scenario: `tried`, `limit` (what the limit is made of) and `needed` (what would be needed), each a text or missing.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

NOTES = Path(__file__).with_name("notes.toml")
QUESTIONS = {
    "tried": "What was tried",
    "limit": "What the limit is made of",
    "needed": "What would be needed",
}

Notes = dict[str, dict[str, str]]


def read_notes(path: Path = NOTES) -> Notes:
    """Raises `SystemExit` for a file that is not as told above."""
    notes: Notes = tomllib.loads(path.read_text())
    for scenario, answers in notes.items():
        strange = set(answers) - set(QUESTIONS)
        if strange:
            raise SystemExit(f"bench: {path.name}: {scenario} has {', '.join(sorted(strange))}")
    return notes


def answers(notes: Notes, scenario: str) -> list[str]:
    """A line for each question."""
    told = notes.get(scenario, {})
    texts = {question: " ".join(told.get(key, "").split()) for key, question in QUESTIONS.items()}
    return [f"*{question}.* {text or 'Not written yet.'}" for question, text in texts.items()]
