"""The watchdog of an embedded server: a thread does what the main thread of a worker process does otherwise."""

from __future__ import annotations

import threading
import time

from ropewalk.config.settings import Settings
from ropewalk.logs.error_log import get_logger, inheriting_log
from ropewalk.process.worker.watchdog import Watchdog
from ropewalk.runtime.service import Service
from ropewalk.wsgi.timeouts import RequestTimeouts


def watchdog_thread(service: Service, settings: Settings) -> WatchdogThread | None:
    """A watchdog for the timeouts in the settings; None if there are none."""
    timeout = RequestTimeouts(settings.timeout, settings.timeout_for, settings.stream_timeout).shortest
    return WatchdogThread(service, timeout) if timeout else None


class WatchdogThread:
    """Finds requests that exceed their timeouts, has their responses ended, and interrupts them."""

    def __init__(self, service: Service, timeout: float) -> None:
        """`timeout` is the shortest that any request has."""
        self._service = service
        self._watchdog = Watchdog(timeout, service.running, service.timeout_of, service.capacity)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=inheriting_log(self._run), name="ropewalk-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started."""
        self._is_stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        was_stuck = False
        while not self._is_stopping.wait(self._watchdog.interval):
            now = time.monotonic()
            self._watchdog.interrupt_overdue(now, self._service.interrupt)
            stuck_reason = self._watchdog.stuck_reason(now)
            if stuck_reason and not was_stuck:
                get_logger().error("%s", stuck_reason)
            was_stuck = bool(stuck_reason)
