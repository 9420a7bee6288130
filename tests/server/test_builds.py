"""Whatever a peer sends and an application does, responses and log lines are those of the pure server.

On the compiled build this compares both builds; on the pure one it shows that the cases are the same each time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ropewalk
from tests.helpers.paths import REPOSITORY

CASES = int(os.environ.get("ODD_EXCHANGES", "400"))
SEED = os.environ.get("ODD_SEED", "1")

OF_THE_COMPILER = re.compile(r"object expected|expected; got|native int|undefined|was not set|internal error")
"""What compiled code says of a type, and what the server says of a bug."""


def exchanges(folder: Path) -> list[Any]:
    """What comes of the cases with the server in this folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.programs.odd_exchanges", SEED, str(CASES)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_odd_exchanges_are_the_same_on_both_builds() -> None:
    pure = exchanges(REPOSITORY / "server")
    found = exchanges(Path(ropewalk.__file__).parents[1])
    assert len(pure) == CASES
    assert [pair for pair in zip(pure, found, strict=True) if pair[0] != pair[1]] == []
    logged = "\n".join(line for _, _, lines in found for line in lines)
    assert not OF_THE_COMPILER.search(logged)
    assert {response[9:12] for _, response, _ in found} >= {"103", "200", "204", "400", "500"}
