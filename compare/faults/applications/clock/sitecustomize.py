"""Moves the wall clock of one Python process, as an operator or NTP would, without changing the machine's.

FAULTS_CLOCK names a file with one double: the current offset, in seconds, of `time.time`, `time_ns` and
`clock_gettime`. The monotonic clock is unchanged, as when a machine's wall clock is set. Code that asks the C library
or the kernel itself (`time.localtime()` without an argument, `datetime.now`) sees the real time.
"""

import mmap
import os
import struct
import time

if "FAULTS_CLOCK" in os.environ:
    with open(os.environ["FAULTS_CLOCK"], "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real_time, real_time_ns, real_clock_gettime = time.time, time.time_ns, time.clock_gettime

    def offset() -> float:
        seconds: float = struct.unpack("d", shared[:])[0]
        return seconds

    def moved_time() -> float:
        return real_time() + offset()

    def moved_time_ns() -> int:
        return real_time_ns() + int(offset() * 1e9)

    def moved_clock_gettime(clock: int) -> float:
        return real_clock_gettime(clock) + (offset() if clock == time.CLOCK_REALTIME else 0.0)

    time.time, time.time_ns, time.clock_gettime = moved_time, moved_time_ns, moved_clock_gettime
