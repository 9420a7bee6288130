"""`make swarm-test` in its short form, as an operator calls it: two nodes, with `make prove TARGET=swarm` on them."""

import os
import sys
from pathlib import Path

import pytest

from tests.swarm.__main__ import QUICK_LIMIT

pytestmark = pytest.mark.docker


def test_no_request_is_lost_in_a_swarm(execute):
    # the virtual environment of this test, which is there
    words = ("make", "--no-print-directory", "swarm-test", "STAMP=", f"BIN={Path(sys.executable).parent}")
    environment = {name: value for name, value in os.environ.items() if name != "FAULTS"} | {"QUICK": "1"}
    done = execute(*words, env=environment, timeout=QUICK_LIMIT + 60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "==> 0 failed of " in done.stdout
    for each in (
        "deploy",
        "deploy a release that is not healthy",
        "kill a container",
        "drain a node",
    ):
        assert f"==> {each}: " in done.stdout
