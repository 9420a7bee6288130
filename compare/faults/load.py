"""The load: clients in threads, some that keep their connection and some that open one for each request.

Modest on purpose: it is to have requests at every stage at any moment, not to show a rate.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from faults.client import Client, Request
from faults.outcomes import Attempt, End

THINK_SECONDS = 0.01  # between the requests of one client; more when there was no connection
UNREACHED_SECONDS = 0.05
LARGE = 200_000  # octets: more than a socket takes at once
USUAL = Request()
MIX = (USUAL, USUAL, Request(content=2000), Request(milliseconds=20), Request(size=5000), Request(content=100_000))
SELDOM = (Request(milliseconds=300), Request(size=LARGE), Request(milliseconds=100, content=2000, size=LARGE))
SELDOM_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many clients, and whether each leaves when it finds no connection any more."""

    kept: int = 12
    fresh: int = 6
    leaves: bool = False


class Load:
    """Runs from `start` to `stop`; the attempts are there then."""

    def __init__(self, address: tuple[str, int], crowd: Crowd) -> None:
        self._address = address
        self._crowd = crowd
        self._ending = threading.Event()
        self._attempts: list[list[Attempt]] = []  # one list for each client, which alone appends to it
        self._closed_between = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(self._crowd.kept + self._crowd.fresh):
            keeps = number < self._crowd.kept
            name = f"{'kept' if keeps else 'fresh'}{number}"
            mine: list[Attempt] = []
            self._attempts.append(mine)
            thread = threading.Thread(target=self._run, args=(name, keeps, mine), name=name)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> list[Attempt]:
        """Let each finish what it asked, and return everything."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        return self.attempts()

    def wait_left(self, seconds: float) -> bool:
        """Whether every client has left by itself within that time."""
        waiting = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if not any(thread.is_alive() for thread in self._threads):
                return True
            waiting.wait(0.02)
        return False

    def attempts(self) -> list[Attempt]:
        return [attempt for mine in self._attempts for attempt in mine[:]]

    def _run(self, name: str, keeps: bool, attempts: list[Attempt]) -> None:
        choose = random.Random(name)
        client = Client(self._address, name, keeps=keeps)
        while not self._ending.is_set():
            request = choose.choice(SELDOM if choose.random() < SELDOM_SHARE else MIX)
            attempt = client.ask(request)
            attempts.append(attempt)
            is_unreached = attempt.end is End.UNREACHED
            if is_unreached and self._crowd.leaves:
                break
            self._ending.wait(UNREACHED_SECONDS if is_unreached else THINK_SECONDS)
        client.close()
