from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest

from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.body_spool import BodySpool


@pytest.mark.parametrize("max_memory", [0, 5, 1000])
def test_spool_returns_what_was_written(max_memory: int) -> None:
    spool = BodySpool(max_memory, BodyBudget(0))
    for part in (b"one\n", memoryview(b"two\n"), b"three"):
        spool.write(part)
    reader = spool.reader()
    assert spool.octets == 13
    assert reader.readlines() == [b"one\n", b"two\n", b"three"]
    spool.close()


@pytest.mark.parametrize(("octets", "is_memory"), [(10, True), (11, False)])
def test_past_the_limit_it_is_a_file(octets: int, is_memory: bool) -> None:
    spool = BodySpool(10, BodyBudget(0))
    spool.write(b"x" * octets)
    reader = spool.reader()
    assert isinstance(reader, BytesIO) is is_memory
    assert reader.read() == b"x" * octets
    spool.close()


def test_closing_it_closes_the_reader() -> None:
    spool = BodySpool(0, BodyBudget(0))
    spool.write(b"x")
    reader = spool.reader()
    spool.close()
    assert reader.closed


WITHOUT_TEMPFILE = """
import sys
from ropewalk.net.body_budget import BodyBudget
from ropewalk.net.body_spool import BodySpool

sys.modules["tempfile"] = None
spool = BodySpool(1, BodyBudget(0))
try:
    spool.write(b"xx")
except OSError as error:
    print(error)
"""


def test_without_the_module_there_is_no_file() -> None:
    """The installation may be gone since the server was started, or no descriptor be free to read it."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TEMPFILE], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cannot load tempfile: ")
