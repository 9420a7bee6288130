"""Where the repository's parts are."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE_PROJECT = REPOSITORY / "sample_project"
PROGRAMS = Path(__file__).resolve().with_name("programs")
