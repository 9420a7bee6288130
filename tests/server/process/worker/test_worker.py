"""process/worker/worker.py: how a worker that serves comes to its end. tests/integration starts whole ones."""

import threading
from types import SimpleNamespace

from ropewalk.process.options import ProcessOptions
from ropewalk.process.system.signals import SignalInbox
from ropewalk.process.worker.worker import _ServingWorker
from ropewalk.runtime.draining import Drained


def test_worker_goes_on_when_it_has_drained_although_the_thread_that_did_it_lives(monkeypatch):
    may_end = threading.Event()
    lingering = []

    class Lingering(threading.Thread):
        """Busy with its end, as on a loaded machine."""

        def run(self):
            lingering.append(self)
            super().run()
            may_end.wait(5)  # a worker that waits for it must not hang this test

    service = SimpleNamespace(drain=lambda _deadline: Drained(1, 0), close=lambda: None)
    inbox = SignalInbox([])
    try:
        worker = _ServingWorker(SimpleNamespace(), service, ProcessOptions(timeout=0), inbox, -1, -1)
        monkeypatch.setattr(threading, "Thread", Lingering)
        worker._drain()
        assert lingering[0].is_alive()
    finally:
        may_end.set()
        inbox.close()
        for thread in lingering:
            thread.join()
