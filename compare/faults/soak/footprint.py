"""What a server holds while it has nothing to do: memory, descriptors, threads and unnamed files.

Two figures of memory tell a leak from an allocator that keeps free memory for later. Memory *in use* is what is
allocated: a leak makes it grow for as long as the load lasts. *Resident* memory also contains what glibc keeps: in an
arena for each thread, up to twice the size of the largest block that was ever freed. It rises until each thread has had
its share of the large bodies, and then varies below a level.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from faults.run.processes import stat

PAGE = os.sysconf("SC_PAGE_SIZE")
RESIDENT_PAGES = 21  # of /proc/PID/stat, counted from the state
THREADS = 17

ALLOWED_KIB = 4096
"""Growth that is no leak: each thread keeps up to 240 KiB of small freed blocks, which glibc counts as in use."""

ALLOWED_BLOCKS = 2000
"""Growth of the number of Python's small objects that is no leak: tables and counters fill."""

ALLOWED_SHARE = 0.10
"""Growth of resident memory that is no leak: what the arenas keep depends on which thread took the large bodies."""

MIN_SAMPLES = 6
"""With fewer samples of resident memory, the arenas are still growing."""


class InUse(NamedTuple):
    """The sums over the processes of a server of the memory that is allocated."""

    malloc_kib: int
    python_blocks: int  # of at most 512 bytes


class Footprint(NamedTuple):
    """The sums over the processes of a server that is idle."""

    processes: int
    resident_kib: int
    descriptors: int
    threads: int
    spool_files: int  # open files without a name: bodies and responses that were written to disk

    def without_memory(self) -> Footprint:
        return self._replace(resident_kib=0)


def measure(pids: Iterable[int]) -> Footprint:
    """The footprint of these processes; one that exits meanwhile counts as none."""
    found = [_measure_one(pid) for pid in pids]
    return Footprint(*(sum(column) for column in zip(*found, strict=True))) if found else Footprint(0, 0, 0, 0, 0)


def _measure_one(pid: int) -> Footprint:
    fields = stat(pid)
    if not fields:
        return Footprint(0, 0, 0, 0, 0)
    targets = []
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                targets.append(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return Footprint(
        processes=1,
        resident_kib=int(fields[RESIDENT_PAGES]) * PAGE // 1024,
        descriptors=len(targets),
        threads=int(fields[THREADS]),
        spool_files=sum(_is_spool_file(target) for target in targets),
    )


def _is_spool_file(target: str) -> bool:
    return target.endswith(" (deleted)") and Path(target).is_absolute() and not target.startswith("/memfd:")


def drift(samples: Sequence[Footprint], in_use: Sequence[InUse]) -> list[str]:
    """What grew, one line each. The first of `samples` and of `in_use` must be of a server that has warmed up."""
    return [*_changes(samples[0], samples[-1]), *_leaks(in_use), *_rise([each.resident_kib for each in samples])]


def _changes(first: Footprint, last: Footprint) -> list[str]:
    found = [
        f"{name.replace('_', ' ')}: {before} at first, {after} at the end"
        for name, before, after in zip(Footprint._fields, first, last, strict=True)
        if name != "resident_kib" and after != before
    ]
    if last.spool_files and first.spool_files:
        found.append(f"spool files: {last.spool_files} are open while nothing is in flight")
    return found


def _leaks(in_use: Sequence[InUse]) -> list[str]:
    first, last = in_use[0], in_use[-1]
    found = []
    if last.malloc_kib > first.malloc_kib + ALLOWED_KIB:
        found.append(f"memory in use: {first.malloc_kib} KiB at first, {last.malloc_kib} KiB at the end")
    if last.python_blocks > first.python_blocks + ALLOWED_BLOCKS:
        found.append(f"objects in use: {first.python_blocks} at first, {last.python_blocks} at the end")
    return found


def _rise(resident_kib: Sequence[int]) -> list[str]:
    """Whether the last third of the samples is above the middle one; the first may be that of the rise to a level."""
    if len(resident_kib) < MIN_SAMPLES:
        return []
    third = len(resident_kib) // 3
    middle, last = median(resident_kib[-2 * third : -third]), median(resident_kib[-third:])
    if last <= middle + max(ALLOWED_KIB, middle * ALLOWED_SHARE):
        return []
    return [f"resident memory: {middle:.0f} KiB in the middle third, {last:.0f} KiB in the last one"]
