"""Keeps memory that workers inherit from their master shared, by freezing it for the garbage collector.

A forked page is shared until one of the two processes writes to it, and a collection writes to every object that it
examines; `gc.freeze` exempts what exists so far. With the GIL, freezing in the worker itself writes next to nothing. A
CPython built without the GIL writes to each object in order to freeze it, so there the master does it, once, before the
first fork. It also starts a thread, which ends at once: with the first thread of a process CPython 3.13 makes classes,
functions and code immortal, so that nobody writes to their reference counts any more.
"""

from __future__ import annotations

import gc
import sys
import threading

IS_BUILT_WITHOUT_GIL = "t" in getattr(sys, "abiflags", "")  # it may have a GIL all the same, by -X gil=1


def freeze_in_master() -> None:
    """Called once the master has loaded what workers share."""
    if IS_BUILT_WITHOUT_GIL:
        thread = threading.Thread(target=gc.freeze)
        thread.start()
        thread.join()


def freeze_in_worker() -> None:
    """Called in the worker before it makes anything else."""
    if not IS_BUILT_WITHOUT_GIL:
        gc.freeze()
