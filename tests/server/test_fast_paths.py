"""Every fast path names the general path that it stands for, and the test that holds the two equal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ropewalk
from tests.helpers.paths import REPOSITORY

SERVER = Path(ropewalk.__file__).parent
COMMENT = re.compile(r"# fast path of .+; (test_\w+)")

FOUND = sorted(
    {
        (path.relative_to(SERVER).as_posix(), line.strip())
        for path in SERVER.rglob("*.py")
        for line in path.read_text().splitlines()
        if "# fast path" in line
    }
)
DEFINED = {
    name
    for path in (REPOSITORY / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
}


def test_there_are_fast_paths() -> None:
    assert len(FOUND) > 10


@pytest.mark.parametrize(("module", "line"), FOUND)
def test_a_fast_path_names_a_test_that_exists(module: str, line: str) -> None:
    comment = COMMENT.search(line)
    assert comment is not None, "# fast path of X; test_Y holds them equal"
    assert comment[1] in DEFINED
