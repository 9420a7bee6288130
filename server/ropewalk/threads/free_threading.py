"""Done once, before the threads start, so that they contend for fewer of the interpreter's locks without the GIL.

In a free-threaded build each object is owned by the thread that made it. When another thread looks up a key in a dict
and finds one that is equal but not identical, it has to hold that key for the comparison. It can do so without a lock
only if the key is marked as held by several threads already. If it is not, the look-up takes the lock of the dict, and
so does every later one, since a comparison marks nothing: two threads that use the same table, as Django does for the
phrase of each status, then wait for each other again and again. Reading an object out of a list in a thread that does
not own it marks it permanently. Strings need this less: those in the source of a program are immortal.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

_shared_in = 0
"""The process that `share_keys_once` was called in last."""


def share_keys_once() -> None:
    """Do `share_keys` if this process has not: it can take 0.1 s, and tests start many servers in one process."""
    global _shared_in
    if _shared_in != os.getpid():
        _shared_in = os.getpid()
        share_keys()


def share_keys() -> int:
    """Mark the keys of all dicts that are not frozen; return their number.

    Frozen objects were inherited from the master: writing to them would copy their memory (`process.system.gc_freeze`).
    """
    keys = [key for table in _dicts() for key in list(dict.keys(table)) if type(key) is not str]
    reader = threading.Thread(target=_read, args=(keys,), name="ropewalk-share-keys")
    reader.start()
    reader.join()
    return len(keys)


def _read(keys: list[Any]) -> None:
    for index in range(len(keys)):  # an iterator takes its references in another way
        keys[index]


def _dicts() -> Iterator[dict[Any, Any]]:
    # By type, not by isinstance: that reads `__class__`, which makes a lazy object load.
    for found in gc.get_objects():
        if issubclass(type(found), dict):
            yield found
            for value in list(dict.values(found)):
                if type(value) is dict and not gc.is_tracked(value):  # nothing in it is either
                    yield value
