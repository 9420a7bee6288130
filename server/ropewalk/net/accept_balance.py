"""How many connections each worker has, in shared memory, so that the workers accept evenly.

All workers accept from the same sockets, and the kernel wakes whichever of them sleeps first in its queue: without
this, one worker of a quiet server gets nearly all connections. So each worker publishes its counts here, and before it
accepts it checks whether another has fewer. There are no locks: each word has one writer, and the next read corrects
a stale one. A worker that is dead or stuck delays the others by `DEFER_TIMEOUT`, once.

Made by the master before it forks. Each worker has a slot of `SLOT_WORDS` words of 32 bits; the first word of the page
holds how many slots are in use.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from mmap import PAGESIZE, mmap
from time import monotonic

from ropewalk.logs.error_log import get_logger
from ropewalk.portable import fcntl

log = get_logger()

# Seconds for which a connection is left to the others: by then a sleeping worker is awake, on a busy machine too.
DEFER_TIMEOUT = 0.020

MAX_SLOTS = PAGESIZE // 16 - 1  # 255; workers past it accept without comparing
SLOT_WORDS = 4
OPEN, SECOND, ACCEPTED, HEARTBEAT = range(SLOT_WORDS)
"""The words of a slot: open connections; a second (monotonic); connections accepted in that second; a counter."""
ABSENT = 0xFFFFFFFF  # in OPEN: this slot's worker accepts nothing

# Connections accepted in the current second that weigh as much as an open one. They count so that short connections are
# balanced too, though none of them is open when the counts are compared.
ACCEPTED_A_SHARE = 16
SLACK_SHIFT = 3  # an eighth more of many open connections counts as even,
CHURN_SHIFT = 4  # and so does one for each sixteen accepted this second: where they come and go, they even out

ONE = struct.pack("@Q", 1)  # what is added to an eventfd(2)


def open_shared_counts() -> SharedCounts | None:
    """Make the shared memory; None where a sandbox forbids it: then the workers accept as the kernel wakes them."""
    try:
        return SharedCounts()
    except OSError as error:
        log.debug("connections may be spread unevenly: no shared memory (%s)", error.strerror)
        return None


class SharedCounts:
    """The shared memory, and the eventfd `wake_fd`, which wakes all workers to look at the listening sockets."""

    def __init__(self) -> None:
        """Raises `OSError` where the kernel provides no such memory."""
        self._fd = os.memfd_create("ropewalk-shared-counts")
        try:
            os.ftruncate(self._fd, PAGESIZE)
            self._memory = mmap(self._fd, PAGESIZE)
            self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            os.close(self._fd)
            raise
        self.words = memoryview(self._memory).cast("I")

    def claim_slot(self, count: Callable[[], int]) -> WorkerSlot | None:
        """Claim a slot for this process, whose open connections `count` returns. None when all are taken.

        A slot is held by a record lock of the kernel on its first octet, which ends with the process. Call this once in
        a process, since such locks belong to the process.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
        try:
            for slot in range(1, MAX_SLOTS + 1):
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot * SLOT_WORDS * 4)
                except BlockingIOError:
                    continue
                self.words[0] = max(self.words[0], slot)
                return WorkerSlot(self, slot * SLOT_WORDS, count)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)
        return None

    def close(self) -> None:
        """Release the memory in this process, which then must not use a slot of it."""
        self.words.release()
        self._memory.close()
        os.close(self._fd)
        os.close(self.wake_fd)


class WorkerSlot:
    """One worker's slot. Called by the thread that accepts, one at a time; `publish` and `withdraw` by any thread."""

    def __init__(self, shared_counts: SharedCounts, base: int, count: Callable[[], int]) -> None:
        self._words = shared_counts.words
        self._wake_fd = shared_counts.wake_fd
        self._base = base  # where its words begin
        self._count = count
        self._second = self._accepted = 0
        self._deferred_to: dict[int, int] = {}  # slots to which a connection was left, and their heartbeats then
        self._unresponsive: dict[int, int] = {}  # slots that did not look, and the heartbeats at which they stopped
        self._words[base + SECOND] = self._words[base + ACCEPTED] = 0
        self.heartbeat()
        self.publish()

    def publish(self) -> None:
        """Write the number of open connections; of two threads the slower may write an older one, until the next."""
        self._words[self._base + OPEN] = self._count()

    def withdraw(self) -> None:
        """Show that this worker accepts no more."""
        self._words[self._base + OPEN] = ABSENT

    def heartbeat(self) -> None:
        """Show that this worker looks at the listening sockets."""
        place = self._base + HEARTBEAT
        self._words[place] = (self._words[place] + 1) & 0xFFFFFFFF

    def count_accepted(self) -> None:
        """Count a connection that was accepted here."""
        second = int(monotonic()) & 0xFFFFFFFF  # the same clock in all processes
        if second != self._second:
            self._second, self._accepted = second, 0
        self._accepted += 1
        base, words = self._base, self._words
        words[base + SECOND], words[base + ACCEPTED] = second, self._accepted
        self.publish()

    def should_accept(self) -> bool:
        """Whether this worker takes the next connection: no other that may be alive has fewer."""
        slots = self._words[0]
        if slots == 1:  # fast path of `_less_loaded`; test_one_worker_accepts_everything holds them equal
            return True
        others = self._less_loaded(slots)
        if not others:
            return True
        if not self._deferred_to:
            self._deferred_to = others  # with their heartbeats from before they are woken
        return False

    def _less_loaded(self, slots: int) -> dict[int, int]:
        """The slots that have fewer connections, and their heartbeats."""
        words: list[int] = self._words[: (slots + 1) * SLOT_WORDS].tolist()
        second = int(monotonic()) & 0xFFFFFFFF
        mine = self._count()
        my_accepted = self._accepted if self._second == second else 0
        found = {}
        for base in range(SLOT_WORDS, len(words), SLOT_WORDS):
            theirs, their_second, their_accepted, heartbeat = words[base : base + SLOT_WORDS]
            if base == self._base or theirs == ABSENT or self._unresponsive.get(base) == heartbeat:
                continue
            if _is_busier(mine, my_accepted, theirs, their_accepted if their_second == second else 0):
                found[base] = heartbeat
        return found

    def wake_others(self) -> None:
        """Make the other workers look at the listening sockets."""
        os.write(self._wake_fd, ONE)

    def mark_unresponsive(self) -> None:
        """Leave nothing more to a worker that did not even look at what was left to it, until it does."""
        for base, heartbeat in self._deferred_to.items():
            if self._words[base + HEARTBEAT] == heartbeat:
                self._unresponsive[base] = heartbeat
        self._deferred_to = {}


def _is_busier(mine: int, my_accepted: int, theirs: int, their_accepted: int) -> bool:
    """Whether I have more than they, by at least one connection or its weight in those accepted this second."""
    more, since = mine - theirs, my_accepted - their_accepted
    slack = max(max(mine, theirs) >> SLACK_SHIFT, max(my_accepted, their_accepted) >> CHURN_SHIFT)
    if more > slack:
        return (more - slack) * ACCEPTED_A_SHARE + since > 0
    least = max(ACCEPTED_A_SHARE, their_accepted >> SLACK_SHIFT)
    if more < -slack:
        return (more + slack) * ACCEPTED_A_SHARE + since >= least
    return since >= least
