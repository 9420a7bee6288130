from __future__ import annotations

import threading

import pytest

from ropewalk.threads.parking import make_gate

PATIENCE = 10.0


@pytest.mark.parametrize("spins", [False, True])
def test_each_opening_lets_one_pass_whether_it_comes_before_or_after(spins: bool) -> None:
    gate = make_gate(spins=spins)
    passed = threading.Semaphore(0)

    def pass_twice() -> None:
        for _ in range(2):
            gate.acquire()
            passed.release()

    gate.release()
    thread = threading.Thread(target=pass_twice)
    thread.start()
    assert passed.acquire(timeout=PATIENCE)
    assert not passed.acquire(blocking=False)
    gate.release()
    assert passed.acquire(timeout=PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()
