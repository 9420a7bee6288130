"""Orphans, in a process that the kernel makes their parent, as it does with process 1 of a container."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """\
import ctypes, os, sys
from ropewalk.process.system.reaper import reap_orphans

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def ended(pid):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def child(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return pid


reap_orphans(set())  # without any child
reading_end, writing_end = os.pipe()
parent = child(lambda: [os.write(writing_end, b"%d\\n" % child(lambda: None)) for _ in range(3)])
os.waitpid(parent, 0)
orphans = [ended(int(line)) for line in os.read(reading_end, 1000).split()]
assert len(orphans) == 3
own = child(lambda: None)
living = child(lambda: os.read(os.pipe()[0], 1))
reap_orphans({own, living})
for pid in orphans:
    assert not os.path.exists(f"/proc/{pid}"), "an orphan is left"
ended(own)
reap_orphans({own, living})
assert os.waitpid(own, 0) == (own, 0)
os.kill(living, 9)
assert os.waitpid(living, 0) == (living, 9)
"""


def test_only_orphans_that_have_exited_are_reaped() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=30)
