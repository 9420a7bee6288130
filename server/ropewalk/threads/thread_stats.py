"""What the kernel knows of a thread (proc(5)): how long it wanted to run, and whether it wants to now.

CPU time alone cannot tell a thread that waits for a database from one that waits for a processor which others use: only
the first is helped by another thread.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

NANOSECOND = 1e-9


class ThreadGauge:
    """Looks at one thread of this process, from any other. Holds two descriptors, until it is closed."""

    __slots__ = ("_schedstat", "_stat")

    def __init__(self, native_id: int) -> None:
        """Raises `OSError` where the kernel does not tell (no /proc, or no CONFIG_SCHED_INFO)."""
        folder = f"/proc/self/task/{native_id}"
        self._schedstat = os.open(f"{folder}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._stat = os.open(f"{folder}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self._schedstat)
            raise

    def runnable_seconds(self) -> float:
        """Seconds since its start in which it ran or waited for a processor."""
        running, waiting, _ = os.pread(self._schedstat, 80, 0).split()
        return (int(running) + int(waiting)) * NANOSECOND

    def is_runnable(self) -> bool:
        """Whether it runs or waits for a processor now, rather than sleeps."""
        # The name stands in parentheses and may hold any; the state is the first letter behind the last.
        return os.pread(self._stat, 256, 0).rpartition(b") ")[2][:1] == b"R"

    def close(self) -> None:
        os.close(self._schedstat)
        os.close(self._stat)


class ThreadStats:
    """All threads of a pool together; where the kernel does not tell, by the process's CPU time alone."""

    def __init__(self) -> None:
        self._threads: list[ThreadGauge] = []
        self._is_told = True

    def add(self, native_id: int) -> None:
        """Watch one more thread. Called before any other method is, by one thread at a time."""
        try:
            self._threads.append(ThreadGauge(native_id))
        except OSError:
            self._is_told = False

    def cpu_seconds(self) -> float:
        """Seconds in which threads of the process ran."""
        return time.process_time()

    def work_seconds(self) -> float:
        """Seconds of work since the start: of all threads, those in which they ran or would have run."""
        if self._is_told:
            with suppress(OSError, ValueError):  # a thread has ended
                return sum(thread.runnable_seconds() for thread in self._threads)
        return time.process_time()

    def is_working(self) -> bool:
        """Whether any thread runs or wants to at this moment; False where the kernel does not tell."""
        if self._is_told:
            with suppress(OSError):
                return any(thread.is_runnable() for thread in self._threads)
        return False

    def close(self) -> None:
        while self._threads:
            self._threads.pop().close()
