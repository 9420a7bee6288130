"""How many threads of this process can run Python code at the same moment."""

from __future__ import annotations

import os
import sys


def computing_at_once(processes: int = 1) -> int:
    """One under the GIL; without it, this process's share of the processors that `processes` of them may use.

    May become one while the process runs: an extension module that is not made for it brings the GIL back when it is
    imported.
    """
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)  # since Python 3.13
    if is_gil_enabled is None or is_gil_enabled():
        return 1
    return max(1, len(os.sched_getaffinity(0)) // processes)
