"""How many threads of this process can run Python code at the same moment."""

from __future__ import annotations

import os
import sys


def parallel_threads(processes: int = 1) -> int:
    """One under the GIL; without it, this process's share of the processors, of which `processes` of them make use.

    May become one while the process runs: importing an extension module that does not support free threading enables
    the GIL again.
    """
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)  # since Python 3.13
    if is_gil_enabled is None or is_gil_enabled():
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # of Linux
    return max(1, (len(affinity(0)) if affinity else os.cpu_count() or 1) // processes)
