"""Where things are in the repository."""

from __future__ import annotations

from pathlib import Path

BENCH = Path(__file__).parent
ROOT = BENCH.parents[1]
SERVER = ROOT / "server"
COMPARE = ROOT / "compare"
APPLICATIONS = BENCH / "applications"
DOCS = ROOT / "docs"
PAGES = DOCS / "benchmarks"
DATA = ROOT / ".run" / "bench"
"""Raw results, ignored by git: `results.json` of the last whole run, and `samples.json`, which `--resume` continues."""
