"""Where the repository's parts are."""

from __future__ import annotations

from pathlib import Path

import ropewalk

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE_PROJECT = REPOSITORY / "sample_project"
SERVER = Path(ropewalk.__file__).resolve().parents[1]
"""The folder of the server under test: the checkout's, unless PYTHONPATH has another."""
PROGRAMS = Path(__file__).resolve().with_name("programs")
