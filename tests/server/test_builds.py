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
OCTETS = int(os.environ.get("ODD_OCTETS", "4000"))
SEED = os.environ.get("ODD_SEED", "1")

OF_THE_COMPILER = re.compile(r"object expected|expected; got|native int|undefined|was not set|internal error")
"""What compiled code says of a type, and what the server says of a bug."""


def results(program: str, count: int, folder: Path) -> list[Any]:
    """What comes of the cases of this program with the server in this folder."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.helpers.programs.{program}", SEED, str(count)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == count
    return found


def on_both(program: str, count: int) -> tuple[list[Any], list[Any]]:
    """What comes of the cases on the pure build, and on the one that is tested."""
    folders = REPOSITORY / "server", Path(ropewalk.__file__).parents[1]
    pure, found = (results(program, count, folder) for folder in folders)
    return pure, found


def test_odd_exchanges_are_the_same_on_both_builds() -> None:
    pure, found = on_both("odd_exchanges", CASES)
    assert [pair for pair in zip(pure, found, strict=True) if pair[0] != pair[1]] == []
    logged = "\n".join(line for _, _, lines in found for line in lines)
    assert not OF_THE_COMPILER.search(logged)
    assert {response[9:12] for _, response, _ in found} >= {"103", "200", "204", "400", "500"}


def test_odd_octets_are_read_and_refused_the_same_on_both_builds() -> None:
    pure, found = on_both("odd_octets", OCTETS)
    assert [pair for pair in zip(pure, found, strict=True) if pair[0] != pair[1]] == []
    texts = [text for _, _, text in found]
    assert any("'GET'" in text for text in texts)
    assert {text[3:6] for text in texts} >= {"400", "417", "501", "505"}
