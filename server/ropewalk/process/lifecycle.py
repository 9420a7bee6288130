"""What the operator's own code is told of processes. This class tells nobody; the composition root may give another.

Main thread only, of the master or of a worker as each method says. A method that names no exception raises none.
"""

from __future__ import annotations


class Hooks:
    """Called at each turn of a server's life."""

    # In the master

    def ready(self) -> None:
        """It listens, and is about to fork its first worker. Raises an exception that ends the start."""

    def reloading(self) -> None:
        """The settings were read again; workers are about to be replaced."""

    def workers_changed(self, new: int, old: int) -> None:
        """Another number of workers is wanted from now on."""

    def before_fork(self) -> None:
        """A worker is about to be forked."""

    def forked(self, pid: int) -> None:
        """It was."""

    def gone(self, pid: int) -> None:
        """A worker has ended and was reaped."""

    def before_exec(self) -> None:
        """A new master is about to be started."""

    def exiting(self) -> None:
        """All workers have ended, and the master is about to."""

    # In a worker

    def in_worker(self) -> None:
        """It was just forked. Raises ConfigError when it is not to boot."""

    def booted(self) -> None:
        """The application is loaded. Raises ConfigError when it is not to serve."""

    def interrupted(self) -> None:
        """It ends at once, for INT or QUIT."""

    def timed_out(self) -> None:
        """A request has run past its timeout."""

    def leaving(self) -> None:
        """It serves no more, and is about to end; also behind a boot that failed."""
