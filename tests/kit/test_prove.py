"""`make prove`, in its short form, as an operator calls it."""

import os
import sys

import pytest

from tests.helpers.containers import clean_environment
from tests.helpers.machine import BASE_IMAGE

pytestmark = pytest.mark.docker


def test_no_request_is_lost(execute):
    environment = clean_environment() | {"BASE_IMAGE": BASE_IMAGE, "QUICK": "1", "LANG": os.environ.get("LANG", "C")}
    done = execute(sys.executable, "-I", "deploy/kit", "prove", env=environment, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "==> 0 failed of " in done.stdout
    for each in (
        "deploy",
        "roll back",
        "recycle the workers",
        "kill a worker",
        "restart the container",
    ):
        assert f"==> {each}: " in done.stdout
