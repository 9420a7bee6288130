"""What a server holds while it has nothing to do: memory, descriptors, threads and unnamed files, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from faults.run.processes import stat

PAGE = os.sysconf("SC_PAGE_SIZE")
RESIDENT_PAGES = 21  # of /proc/PID/stat, counted from the state
THREADS = 17

ALLOWED_KIB = 4096
"""Growth of the resident memory of all processes that is no drift: the allocator keeps pages by chance."""

ALLOWED_SHARE = 0.10
"""The same, as a share of the memory at the first sample."""


class Footprint(NamedTuple):
    """The sums over the processes of a server that is idle."""

    processes: int
    resident_kib: int
    descriptors: int
    threads: int
    spool_files: int  # open files without a name: bodies and responses that were written to disk


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


def drift(samples: Sequence[Footprint]) -> list[str]:
    """What grew from the first sample to the last, one line each; the first must be of a server that has warmed up."""
    first, last = samples[0], samples[-1]
    found = [
        f"{name.replace('_', ' ')}: {before} at first, {after} at the end"
        for name, before, after in zip(Footprint._fields, first, last, strict=True)
        if name != "resident_kib" and after != before
    ]
    if last.spool_files and first.spool_files:
        found.append(f"spool files: {last.spool_files} are open while nothing is in flight")
    allowed = first.resident_kib + max(ALLOWED_KIB, int(first.resident_kib * ALLOWED_SHARE))
    if last.resident_kib > allowed:
        found.append(f"memory: {first.resident_kib} KiB at first, {last.resident_kib} KiB at the end")
    return found
