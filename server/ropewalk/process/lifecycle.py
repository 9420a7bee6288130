"""The moments in the life of a master and its workers at which code of the operator's may run.

`Hooks` does nothing; `ropewalk.gunicorn_hooks.lifecycle` calls the hooks of a configuration file. Called in the main
thread only, of the process that each method names. A method raises nothing unless its docstring says so.
"""

from __future__ import annotations


class Hooks:
    """One method for each moment; none does anything."""

    # In the master

    def ready(self) -> None:
        """The master listens, and is about to fork its first worker. May raise any exception, which ends the start."""

    def reloading(self) -> None:
        """The settings were read again, and the workers are about to be replaced."""

    def workers_changed(self, new: int, old: int) -> None:
        """The number of workers that the master keeps has changed."""

    def before_fork(self) -> None:
        """A worker is about to be forked."""

    def forked(self, pid: int) -> None:
        """A worker was forked."""

    def worker_exited(self, pid: int) -> None:
        """A worker has exited and was reaped."""

    def before_exec(self) -> None:
        """A new master is about to be started, for an upgrade."""

    def exiting(self) -> None:
        """All workers have exited, and the master is about to."""

    # In a worker

    def worker_started(self) -> None:
        """The worker was just forked. Raises ConfigError if it must not load the application."""

    def worker_booted(self) -> None:
        """The worker has loaded the application. Raises ConfigError if it must not serve."""

    def worker_interrupted(self) -> None:
        """The worker exits at once, for INT or QUIT."""

    def request_timed_out(self) -> None:
        """A request has run past its timeout."""

    def worker_exiting(self) -> None:
        """The worker serves no more, or could not boot, and is about to exit."""
