"""The load of a scenario: clients in threads, some with a keep-alive connection, some with a new one per request.

It is light on purpose: it has requests at every stage at any moment, and does not measure speed.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from faults.run.client import Client, Request
from faults.run.outcomes import Attempt, End

PAUSE_SECONDS = 0.01  # between two requests of a client
RECONNECT_SECONDS = 0.05  # after a failure to connect
LARGE = 200_000  # bytes: more than a socket buffers
COMMON = Request()
MIX = (
    COMMON,
    COMMON,
    Request(content_bytes=2000),
    Request(milliseconds=20),
    Request(size=5000),
    Request(content_bytes=100_000),
)
RARE = (
    Request(milliseconds=300),
    Request(size=LARGE),
    Request(milliseconds=100, content_bytes=2000, size=LARGE),
)
RARE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Clients:
    """The number of clients of each kind, and whether a client leaves when it cannot connect."""

    keep_alive: int = 12
    new_connection: int = 6
    leave: bool = False


class Load:
    """Runs from `start` to `stop`, which returns the attempts."""

    def __init__(self, address: tuple[str, int], clients: Clients) -> None:
        self._address = address
        self._clients = clients
        self._stopping = threading.Event()
        self._attempts: list[list[Attempt]] = []  # one list for each client, the only one to append to it
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number in range(self._clients.keep_alive + self._clients.new_connection):
            keeps_alive = number < self._clients.keep_alive
            name = f"{'keep-alive' if keeps_alive else 'new'}-{number}"
            mine: list[Attempt] = []
            self._attempts.append(mine)
            thread = threading.Thread(target=self._run, args=(name, keeps_alive, mine), name=name)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> list[Attempt]:
        """Let each client finish its request, and return all attempts."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return [attempt for mine in self._attempts for attempt in mine]

    def wait_left(self, seconds: float) -> bool:
        """Whether every client leaves within that time."""
        waiting = threading.Event()
        for _ in range(int(seconds / 0.02)):
            if not any(thread.is_alive() for thread in self._threads):
                return True
            waiting.wait(0.02)
        return False

    def _run(self, name: str, keeps_alive: bool, attempts: list[Attempt]) -> None:
        choose = random.Random(name)
        client = Client(self._address, name, keeps_alive=keeps_alive)
        while not self._stopping.is_set():
            request = choose.choice(RARE if choose.random() < RARE_SHARE else MIX)
            attempt = client.request(request)
            attempts.append(attempt)
            is_connected = attempt.end is not End.NOT_CONNECTED
            if not is_connected and self._clients.leave:
                break
            self._stopping.wait(PAUSE_SECONDS if is_connected else RECONNECT_SECONDS)
        client.close()
