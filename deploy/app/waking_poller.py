"""supervisord waits up to a second before each look at its programs, also when a signal has arrived meanwhile.

With this poller it does not: its first wait ends at once, so that the programs start, and each other one ends with a
signal. That of a program's end is followed by a wait that ends at once too, since supervisord restarts what has ended
one turn of its loop later.
"""

import os
import signal

from supervisor.poller import PollPoller


class WakingPoller(PollPoller):  # type: ignore[misc]  # supervisor has no types
    def initialize(self) -> None:
        super().initialize()
        self._is_due = True
        """The next wait ends at once."""
        self._reading = self._writing = -1
        # of the poller before, if supervisord was reloaded: it closes all descriptors
        signal.set_wakeup_fd(-1)

    def poll(self, timeout: float) -> tuple[list[int], list[int]]:
        """The descriptors that can be read and written."""
        if self._reading < 0:
            self._open()
        self.register_readable(self._reading)
        readable, writable = super().poll(0 if self._is_due else timeout)
        self._is_due = self._reading in readable
        if self._is_due:
            readable.remove(self._reading)
            os.read(self._reading, 1)  # one signal is handled in each turn
        return readable, writable

    def _open(self) -> None:
        """Not before the first wait, since supervisord closes all descriptors when it starts."""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
