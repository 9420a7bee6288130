from __future__ import annotations

import threading

import pytest

from ropewalk.threads.parking import make_parking

PATIENCE = 10.0


@pytest.mark.parametrize("spins", [False, True])
def test_each_release_lets_one_acquire_return_whichever_comes_first(spins: bool) -> None:
    parking = make_parking(spins=spins)
    passed = threading.Semaphore(0)

    def pass_twice() -> None:
        for _ in range(2):
            parking.acquire()
            passed.release()

    parking.release()
    thread = threading.Thread(target=pass_twice)
    thread.start()
    assert passed.acquire(timeout=PATIENCE)
    assert not passed.acquire(blocking=False)
    parking.release()
    assert passed.acquire(timeout=PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()
