"""The processors of a simulated machine, and the interpreter lock of each simulated process.

`Cores` shares the processors evenly between the threads that run, as the kernel does. `Interpreter` is the GIL of
CPython 3.11 to 3.14: a thread that waits for it asks the one that has it to let go after each switch interval in which
nobody else got it; a thread that blocks in the kernel lets go at once. A thread that makes a short system call usually
has it back before another one has woken, so short calls do not count here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from functools import partial
from typing import Any

import simpy

Steps = Generator[simpy.Event, Any, None]
"""What a simulated thread does."""

NEGLIGIBLE = 1e-9  # seconds: the rest of a slice by rounding


class Slice:
    """`remaining` seconds of processor time that a thread is being given. `done` happens when it stops."""

    __slots__ = ("done", "remaining", "version")

    def __init__(self, env: simpy.Environment, seconds: float) -> None:
        self.remaining = seconds
        self.done = env.event()
        self.version = 0  # of its timer: an older one does not count


class Cores:
    """`count` processors. `busy` is the processor time given so far, in seconds."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self._env = env
        self._count = count
        self._running: dict[Slice, None] = {}
        self._since = 0.0  # up to when `_busy` and all `remaining` are counted
        self._share = 1.0  # of a processor that each thread has
        self._busy = 0.0

    @property
    def busy(self) -> float:
        return self._busy + (self._env.now - self._since) * self._share * len(self._running)

    def start(self, piece: Slice) -> None:
        self._advance()
        self._running[piece] = None
        if not self._share_again():
            self._set_timer(piece)

    def stop(self, piece: Slice) -> None:
        """Stop it before its end, unless it has ended."""
        if piece in self._running:
            self._advance()
            self._end(piece)

    def _end(self, piece: Slice) -> None:
        del self._running[piece]
        piece.version += 1
        piece.done.succeed()
        self._share_again()

    def _advance(self) -> None:
        passed = (self._env.now - self._since) * self._share
        self._since = self._env.now
        for piece in self._running:
            piece.remaining -= passed
        self._busy += passed * len(self._running)

    def _share_again(self) -> bool:
        """Set all timers if the share has changed; return whether it has."""
        share = min(1.0, self._count / len(self._running)) if self._running else 1.0
        if share == self._share:
            return False
        self._share = share
        for piece in self._running:
            self._set_timer(piece)
        return True

    def _set_timer(self, piece: Slice) -> None:
        piece.version += 1
        timer = self._env.timeout(max(0.0, piece.remaining) / self._share)
        timer.callbacks.append(partial(self._expire, piece, piece.version))

    def _expire(self, piece: Slice, version: int, _: simpy.Event) -> None:
        if piece.version == version:
            self._advance()
            piece.remaining = 0.0
            self._end(piece)


class Waiter:
    """A thread that waits for the interpreter."""

    __slots__ = ("taken",)

    def __init__(self, env: simpy.Environment) -> None:
        self.taken = env.event()


class Interpreter:
    """One process's interpreter lock. Its methods are steps of the thread that has it, or wants it."""

    def __init__(self, env: simpy.Environment, cores: Cores, switch_interval: float) -> None:
        self._env = env
        self._cores = cores
        self._interval = switch_interval
        self.is_taken = False
        self._running: Slice | None = None
        self._waiting: deque[Waiter] = deque()
        self._switches = 0
        self._used = 0.0  # processor seconds of ended slices
        self._ran = 0.0  # seconds for which they ran or waited for a processor
        self._running_since = 0.0
        self._running_seconds = 0.0

    @property
    def is_wanted(self) -> bool:
        return bool(self._waiting)

    @property
    def ran(self) -> float:
        """Seconds in which a thread of this process ran or waited for a processor."""
        return self._ran + (self._env.now - self._running_since if self._running else 0.0)

    @property
    def used(self) -> float:
        """Processor seconds, those of a running slice counted as if it had a processor of its own."""
        running = min(self._env.now - self._running_since, self._running_seconds) if self._running else 0.0
        return self._used + running

    def acquire(self) -> Steps:
        if not self.is_taken:
            self.is_taken = True
            return
        waiter = Waiter(self._env)
        self._waiting.append(waiter)
        self._set_timer(waiter)
        yield waiter.taken

    def release(self) -> None:
        """Let go of it: the first thread in the kernel's queue gets it."""
        if self._waiting:
            self._switches += 1
            self._waiting.popleft().taken.succeed()
        else:
            self.is_taken = False

    def run(self, seconds: float) -> Steps:
        """Compute for so long, with the interpreter held at the beginning and at the end."""
        while seconds > NEGLIGIBLE:
            piece = Slice(self._env, seconds)
            self._running, self._running_since, self._running_seconds = piece, self._env.now, seconds
            self._cores.start(piece)
            yield piece.done
            self._running = None
            self._ran += self._env.now - self._running_since
            self._used += seconds - piece.remaining
            seconds = piece.remaining
            if seconds > NEGLIGIBLE:  # another thread asked for the interpreter
                self.release()
                yield from self.acquire()

    def _set_timer(self, waiter: Waiter) -> None:
        timer = self._env.timeout(self._interval)
        timer.callbacks.append(partial(self._expire, waiter, self._switches))

    def _expire(self, waiter: Waiter, switches: int, _: simpy.Event) -> None:
        if waiter.taken.triggered:
            return
        self._waiting.remove(waiter)  # it looks, and waits again at the end of the kernel's queue,
        self._waiting.append(waiter)  # so the one that asks is the last to get it
        if self._switches == switches and self._running is not None:
            self._cores.stop(self._running)
        self._set_timer(waiter)
