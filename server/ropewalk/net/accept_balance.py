"""What each worker has of connections, in memory that all of them share: so that they can take turns at accepting.

The workers accept from the same sockets, and the kernel wakes whichever of them sleeps first in its queue: left alone,
one worker gets nearly all connections of a quiet server. So each writes here what it has, and before it accepts looks
whether another has less. There are no locks: each word has one writer, and whoever reads an old number is put right by
the next one. What a worker wrote that is dead or stuck holds nobody up for longer than `PATIENCE`, and but once.

Made by the master before it forks. Of the memory each worker has a line of `WIDTH` words of 32 bits; the first line
says how many lines are in use.
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

PATIENCE = (
    0.020  # seconds for which a connection is left to the others: on a busy machine too, who sleeps is awake by then
)
MOST_LINES = PAGESIZE // 16 - 1  # 255; workers past it accept without looking at others
WIDTH = 4
OPEN, SECOND, ACCEPTED, BEAT = range(WIDTH)
ABSENT = 0xFFFFFFFF  # in OPEN: nobody serves under this line

# Connections accepted in the running second that weigh as much as one that is open: short ones are shared out as well,
# though none of them is open when it is looked.
ACCEPTED_A_SHARE = 16
SLACK_SHIFT = 3  # of many open connections an eighth more or less is even,
CHURN_SHIFT = 4  # and so is one for each sixteen that came this second: where they come and go, they even out


def open_ledger() -> SharedCounts | None:
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
        self._fd = os.memfd_create("ropewalk-ledger")
        try:
            os.ftruncate(self._fd, PAGESIZE)
            self._memory = mmap(self._fd, PAGESIZE)
            self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            os.close(self._fd)
            raise
        self.words = memoryview(self._memory).cast("I")

    def enter(self, count: Callable[[], int]) -> WorkerSlot | None:
        """This process's line; `count` tells how many connections it has. None when all lines are taken.

        A line is held by a lock of the kernel's on its first octet, which goes with the process. It is called once in a
        process, since such locks are the process's.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
        try:
            for line in range(1, MOST_LINES + 1):
                try:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, line * WIDTH * 4)
                except BlockingIOError:
                    continue
                self.words[0] = max(self.words[0], line)
                return WorkerSlot(self, line * WIDTH, count)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)
        return None

    def close(self) -> None:
        """Let go of it in this process, which then must not use a line of it."""
        self.words.release()
        self._memory.close()
        os.close(self._fd)
        os.close(self.bell)


class WorkerSlot:
    """One worker's line. By whichever thread accepts, one at a time; `tell` and `leave` by any."""

    def __init__(self, ledger: SharedCounts, base: int, count: Callable[[], int]) -> None:
        self._words = ledger.words
        self._bell = ledger.bell
        self._base = base
        self._count = count
        self._second = self._accepted = 0
        self._hoped: dict[int, int] = {}  # lines to which a connection was left, and their beats then
        self._silent: dict[int, int] = {}  # lines that did not answer, and the beats at which they stand still
        self._words[base + SECOND] = self._words[base + ACCEPTED] = 0
        self.beat()
        self.tell()

    def tell(self) -> None:
        """Write how many connections there are; two threads may write them the wrong way round, until the next one."""
        self._words[self._base + OPEN] = self._count()

    def leave(self) -> None:
        """Accept no more."""
        self._words[self._base + OPEN] = ABSENT

    def beat(self) -> None:
        """Show that this worker looks at the listening sockets."""
        place = self._base + BEAT
        self._words[place] = (self._words[place] + 1) & 0xFFFFFFFF

    def took(self) -> None:
        """A connection was accepted here."""
        second = int(monotonic()) & 0xFFFFFFFF  # the same clock in all processes
        if second != self._second:
            self._second, self._accepted = second, 0
        self._accepted += 1
        base, words = self._base, self._words
        words[base + SECOND], words[base + ACCEPTED] = second, self._accepted
        self.tell()

    def is_mine(self) -> bool:
        """Whether the next connection is this worker's, rather than one's that has less and may be alive."""
        lines = self._words[0]
        if lines == 1:
            return True
        others = self._who_has_less(lines)
        if not others:
            return True
        if not self._hoped:
            self._hoped = others  # with their beats before they are rung for
        return False

    def _who_has_less(self, lines: int) -> dict[int, int]:
        words: list[int] = self._words[: (lines + 1) * WIDTH].tolist()
        second = int(monotonic()) & 0xFFFFFFFF
        mine = self._count()
        accepted = self._accepted if self._second == second else 0
        found = {}
        for base in range(WIDTH, len(words), WIDTH):
            open_, at, theirs, beat = words[base : base + WIDTH]
            if base == self._base or open_ == ABSENT or self._silent.get(base) == beat:
                continue
            if _weighs_more(mine, accepted, open_, theirs if at == second else 0):
                found[base] = beat
        return found

    def ring(self) -> None:
        """Ask the others to look."""
        os.write(self._bell, ONE)

    def give_up_hope(self) -> None:
        """Those to whom a connection was left had their time: who did not even look is not hoped for until it does."""
        for base, beat in self._hoped.items():
            if self._words[base + BEAT] == beat:
                self._silent[base] = beat
        self._hoped = {}


ONE = struct.pack("@Q", 1)  # eventfd(2)


def _weighs_more(mine: int, my_accepted: int, theirs: int, their_accepted: int) -> bool:
    """Whether I have more than they by at least one connection, or its weight in those accepted this second."""
    more, since = mine - theirs, my_accepted - their_accepted
    slack = max(max(mine, theirs) >> SLACK_SHIFT, max(my_accepted, their_accepted) >> CHURN_SHIFT)
    if more > slack:
        return (more - slack) * ACCEPTED_A_SHARE + since > 0
    least = max(ACCEPTED_A_SHARE, their_accepted >> SLACK_SHIFT)
    if more < -slack:
        return (more + slack) * ACCEPTED_A_SHARE + since >= least
    return since >= least
