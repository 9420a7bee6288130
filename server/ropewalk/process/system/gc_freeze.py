"""What a worker inherits from its master: pages of memory that are shared until one of the two writes to them.

A collection writes to all that it looks at, so that what is inherited is frozen. With the GIL that is done in the
worker and writes next to nothing. A CPython built without writes to each object to freeze it, so there the master does
it, once, before the first fork. It also starts a thread, which ends at once: with the first thread of a process
CPython 3.13 makes classes, functions and code immortal, so that nobody writes to them any more to count who uses them.
"""

from __future__ import annotations

import gc
import sys
import threading

IS_BUILT_WITHOUT_GIL = "t" in getattr(sys, "abiflags", "")  # it may be there all the same, by -X gil=1


def settle() -> None:
    """In the master, once it has loaded what workers share."""
    if IS_BUILT_WITHOUT_GIL:
        thread = threading.Thread(target=gc.freeze)
        thread.start()
        thread.join()


def keep() -> None:
    """In the worker, before anything else is made."""
    if not IS_BUILT_WITHOUT_GIL:
        gc.freeze()
