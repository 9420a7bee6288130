"""Orphans: process 1 of a container becomes the parent of every process whose own parent has exited.

It alone can reap them, and until it does each keeps a process id. Main thread of the master only.
"""

from __future__ import annotations

import os
from collections.abc import Container

INIT = 1


def is_init() -> bool:
    """Whether this process becomes the parent of orphans."""
    return os.getpid() == INIT


def reap_orphans(own: Container[int]) -> None:
    """Reap the children that have exited, except those in `own`, process ids that are reaped elsewhere."""
    while True:
        try:
            exited = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there is no child at all
            return
        # One of our own exited just now: its SIGCHLD is pending, and leads here again.
        if exited is None or exited.si_pid in own:
            return
        os.waitpid(exited.si_pid, os.WNOHANG)
