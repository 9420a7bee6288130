"""Children that are nobody's: the first process of a container is given those whose own parents have ended.

It alone can collect them, and until then each holds a process id. Main thread of the master only.
"""

from __future__ import annotations

import os
from collections.abc import Container

INIT = 1


def is_init() -> bool:
    """Whether this process is the one that orphans are given to."""
    return os.getpid() == INIT


def reap_orphans(own: Container[int]) -> None:
    """Collect the children that have ended, but for those in `own`, process ids that are waited for elsewhere."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there is no child at all
            return
        # One of ours ended just now: its signal is on the way, and brings us here again.
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)
