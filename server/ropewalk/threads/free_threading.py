"""What is done once, before the threads start, so that without the GIL they meet in fewer of the interpreter's locks.

There, each object is owned by the thread that made it. When another one looks into a dict and comes to an equal key
that is not the very same object, it must hold that key for the comparison, and it may do so without a lock only if the
key is marked as held by several threads already. If not, it takes the lock of the dict, and so does every later
look-up, since a comparison marks nothing: two threads that use one table, as Django does for the phrase of each
status, then wait for each other all the time. Being read out of a list by a thread that does not own it marks an
object for good. Strings need it less: those in a program's text are immortal.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any


def share_keys() -> int:
    """Mark the keys of all dicts that are not frozen, and return how many there were.

    What is frozen was inherited: to touch it would cost a copy of the memory it is in (`process.system.gc_freeze`).
    """
    keys = [key for table in _dicts() for key in list(dict.keys(table)) if type(key) is not str]
    reader = threading.Thread(target=_read, args=(keys,), name="ropewalk-sharing")
    reader.start()
    reader.join()
    return len(keys)


def _read(keys: list[Any]) -> None:
    for index in range(len(keys)):  # not by iterating, which holds its objects in another way
        keys[index]


def _dicts() -> Iterator[dict[Any, Any]]:
    # By type, not by isinstance: that asks an object for its `__class__`, upon which a lazy one would load.
    for found in gc.get_objects():
        if issubclass(type(found), dict):
            yield found
            for value in list(dict.values(found)):
                if type(value) is dict and not gc.is_tracked(value):  # only plain things are in it
                    yield value
