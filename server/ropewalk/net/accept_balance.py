"""What each worker has of connections, in memory that all of them share: so that they can take turns at accepting.

The workers accept from the same sockets, and the kernel wakes whichever of them sleeps first in its queue: left alone,
one worker gets nearly all connections of a quiet server. So each writes here what it has, and before it accepts looks
whether another has less. There are no locks: each word has one writer, and whoever reads an old number is put right by
the next one. What a worker wrote that is dead or stuck holds nobody up for longer than `DEFER_TIMEOUT`, and but once.

Made by the master before it forks. Each worker has a slot of `SLOT_WORDS` words of 32 bits; the first slot
holds how many are in use.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from mmap import PAGESIZE, mmap
from time import monotonic

from ropewalk.logs.error_log import get_logger

log = get_logger()

DEFER_TIMEOUT = (
    0.020  # seconds for which a connection is left to the others: on a busy machine too, who sleeps is awake by then
)
MAX_SLOTS = PAGESIZE // 16 - 1  # 255; workers past it accept without looking at others
SLOT_WORDS = 4
OPEN, SECOND, ACCEPTED, HEARTBEAT = range(SLOT_WORDS)
ABSENT = 0xFFFFFFFF  # in OPEN: nobody serves under this line

# Connections accepted in the running second that weigh as much as one that is open: short ones are shared out as well,
# though none of them is open when it is looked.
ACCEPTED_A_SHARE = 16
SLACK_SHIFT = 3  # of many open connections an eighth more or less is even,
CHURN_SHIFT = 4  # and so is one for each sixteen that came this second: where they come and go, they even out


def open_shared_counts() -> SharedCounts | None:
    """Make one; without, as where a sandbox forbids it, the workers accept as the kernel wakes them."""
    try:
        return SharedCounts()
    except OSError as error:
        log.debug("connections may be spread unevenly: no shared memory (%s)", error.strerror)
        return None


class SharedCounts:
    """The shared memory, and the bell by which all workers are asked to look at the listening sockets."""

    def __init__(self) -> None:
        """Raises `OSError` where the kernel has no such memory to give."""
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
        """This process's line; `count` tells how many connections it has. None when all lines are taken.

        A line is held by a lock of the kernel's on its first octet, which goes with the process. It is called once in a
        process, since such locks are the process's.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
        try:
            for line in range(1, MAX_SLOTS + 1):
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, line * SLOT_WORDS * 4)
                except BlockingIOError:
                    continue
                self.words[0] = max(self.words[0], line)
                return WorkerSlot(self, line * SLOT_WORDS, count)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)
        return None

    def close(self) -> None:
        """Let go of it in this process, which then must not use a line of it."""
        self.words.release()
        self._memory.close()
        os.close(self._fd)
        os.close(self.wake_fd)


class WorkerSlot:
    """One worker's line. By whichever thread accepts, one at a time; `tell` and `leave` by any."""

    def __init__(self, shared_counts: SharedCounts, base: int, count: Callable[[], int]) -> None:
        self._words = shared_counts.words
        self._wake_fd = shared_counts.wake_fd
        self._base = base
        self._count = count
        self._second = self._accepted = 0
        self._deferred_to: dict[int, int] = {}  # lines to which a connection was left, and their beats then
        self._unresponsive: dict[int, int] = {}  # lines that did not answer, and the beats at which they stand still
        self._words[base + SECOND] = self._words[base + ACCEPTED] = 0
        self.heartbeat()
        self.publish()

    def publish(self) -> None:
        """Write how many connections there are; two threads may write them the wrong way round, until the next one."""
        self._words[self._base + OPEN] = self._count()

    def withdraw(self) -> None:
        """Accept no more."""
        self._words[self._base + OPEN] = ABSENT

    def heartbeat(self) -> None:
        """Show that this worker looks at the listening sockets."""
        place = self._base + HEARTBEAT
        self._words[place] = (self._words[place] + 1) & 0xFFFFFFFF

    def count_accepted(self) -> None:
        """A connection was accepted here."""
        second = int(monotonic()) & 0xFFFFFFFF  # the same clock in all processes
        if second != self._second:
            self._second, self._accepted = second, 0
        self._accepted += 1
        base, words = self._base, self._words
        words[base + SECOND], words[base + ACCEPTED] = second, self._accepted
        self.publish()

    def should_accept(self) -> bool:
        """Whether the next connection is this worker's, rather than one's that has less and may be alive."""
        lines = self._words[0]
        if lines == 1:
            return True
        others = self._less_loaded(lines)
        if not others:
            return True
        if not self._deferred_to:
            self._deferred_to = others  # with their beats before they are rung for
        return False

    def _less_loaded(self, lines: int) -> dict[int, int]:
        words: list[int] = self._words[: (lines + 1) * SLOT_WORDS].tolist()
        second = int(monotonic()) & 0xFFFFFFFF
        mine = self._count()
        accepted = self._accepted if self._second == second else 0
        found = {}
        for base in range(SLOT_WORDS, len(words), SLOT_WORDS):
            open_, at, theirs, beat = words[base : base + SLOT_WORDS]
            if base == self._base or open_ == ABSENT or self._unresponsive.get(base) == beat:
                continue
            if _is_busier(mine, accepted, open_, theirs if at == second else 0):
                found[base] = beat
        return found

    def wake_others(self) -> None:
        """Ask the others to look."""
        os.write(self._wake_fd, ONE)

    def mark_unresponsive(self) -> None:
        """Those to whom a connection was left had their time: who did not even look is not hoped for until it does."""
        for base, beat in self._deferred_to.items():
            if self._words[base + HEARTBEAT] == beat:
                self._unresponsive[base] = beat
        self._deferred_to = {}


ONE = struct.pack("@Q", 1)  # eventfd(2)


def _is_busier(mine: int, my_accepted: int, theirs: int, their_accepted: int) -> bool:
    """Whether I have more than they by at least one connection, or its weight in those accepted this second."""
    more, since = mine - theirs, my_accepted - their_accepted
    slack = max(max(mine, theirs) >> SLACK_SHIFT, max(my_accepted, their_accepted) >> CHURN_SHIFT)
    if more > slack:
        return (more - slack) * ACCEPTED_A_SHARE + since > 0
    least = max(ACCEPTED_A_SHARE, their_accepted >> SLACK_SHIFT)
    if more < -slack:
        return (more + slack) * ACCEPTED_A_SHARE + since >= least
    return since >= least
