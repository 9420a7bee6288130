"""Moves the wall clock of one Python process, as an operator or NTP would, without touching the machine's.

FAULTS_CLOCK names a file of one double: the seconds by which `time.time`, `time_ns` and `clock_gettime` are off at this
moment. The monotonic clock stays as it is, as it does when a machine's wall clock is set. What asks the C library or
the kernel by itself (`time.localtime()` without a time, `datetime.now`) is not moved.
"""

import mmap
import os
import struct
import time

if "FAULTS_CLOCK" in os.environ:
    with open(os.environ["FAULTS_CLOCK"], "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = {name: getattr(time, name) for name in ("time", "time_ns", "clock_gettime")}

    def off():
        return struct.unpack("d", shared[:])[0]

    def moved_time():
        return real["time"]() + off()

    def moved_time_ns():
        return real["time_ns"]() + int(off() * 1e9)

    def moved_clock_gettime(clock):
        return real["clock_gettime"](clock) + (off() if clock == time.CLOCK_REALTIME else 0.0)

    time.time, time.time_ns, time.clock_gettime = moved_time, moved_time_ns, moved_clock_gettime
