"""deploy/kit/processes.py."""

import os
import signal
import sys

import pytest

from kit import processes


def test_status_of_the_program_is_returned():
    assert processes.call(["sh", "-c", "exit 7"], os.environ) == 7


def test_ctrl_c_is_the_program_s_to_handle_and_this_process_waits_for_it(tmp_path):
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(5))\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"  # as a terminal sends it, to both
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(30)\n"
    )
    before = signal.getsignal(signal.SIGINT)
    assert processes.call([sys.executable, "-c", program], os.environ) == 5
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("kill -TERM $$", 128 + signal.SIGTERM)])
def test_failure_of_a_required_program_ends_this_one_with_its_status(script, status):
    with pytest.raises(SystemExit) as ended:
        processes.require(["sh", "-c", script], os.environ)
    assert ended.value.code == status
