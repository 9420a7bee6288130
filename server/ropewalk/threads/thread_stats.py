"""What the kernel knows of a thread (proc(5)): how long it has been runnable, and whether it is now.

CPU time alone cannot tell a thread that waits for a database from one that waits for a processor which others use.
Another thread helps only the first.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from ropewalk.portable import O_CLOEXEC

NANOSECOND = 1e-9


class TaskStat:
    """The statistics of one thread (a task, to the kernel). Holds two descriptors until it is closed."""

    __slots__ = ("_schedstat", "_stat")

    def __init__(self, native_id: int) -> None:
        """Raises `OSError` where the kernel has none (no /proc, or no CONFIG_SCHED_INFO)."""
        folder = f"/proc/self/task/{native_id}"
        self._schedstat = os.open(f"{folder}/schedstat", os.O_RDONLY | O_CLOEXEC)
        try:
            self._stat = os.open(f"{folder}/stat", os.O_RDONLY | O_CLOEXEC)
        except OSError:
            os.close(self._schedstat)
            raise

    def runnable_seconds(self) -> float:
        """Seconds since the thread started in which it ran or waited for a processor."""
        running, waiting, _ = os.pread(self._schedstat, 80, 0).split()
        return (int(running) + int(waiting)) * NANOSECOND

    def is_runnable(self) -> bool:
        """Whether the thread runs or waits for a processor now, rather than sleeps."""
        # The name is in parentheses and may contain some; the state is the first letter after the last of them.
        return os.pread(self._stat, 256, 0).rpartition(b") ")[2][:1] == b"R"

    def close(self) -> None:
        os.close(self._schedstat)
        os.close(self._stat)


class ThreadStats:
    """All threads of a pool together; the process's CPU time where the kernel has no statistics of threads."""

    def __init__(self) -> None:
        self._threads: list[TaskStat] = []
        self._is_available = True

    def add(self, native_id: int) -> None:
        """Add a thread. Called before any other method, by one thread at a time."""
        try:
            self._threads.append(TaskStat(native_id))
        except OSError:
            self._is_available = False

    def cpu_seconds(self) -> float:
        """Seconds in which threads of this process ran."""
        return time.process_time()

    def work_seconds(self) -> float:
        """Seconds in which threads ran or waited for a processor, summed over all threads."""
        if self._is_available:
            with suppress(OSError, ValueError):  # a thread has ended
                return sum(thread.runnable_seconds() for thread in self._threads)
        return time.process_time()

    def is_working(self) -> bool:
        """Whether any thread runs or waits for a processor now; False where the kernel does not say."""
        if self._is_available:
            with suppress(OSError):
                return any(thread.is_runnable() for thread in self._threads)
        return False

    def close(self) -> None:
        while self._threads:
            self._threads.pop().close()
