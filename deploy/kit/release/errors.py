"""What ends a deployment."""

import signal


class ReleaseError(Exception):
    """Why a step failed: one line. `lines` are the last ones of what failed, `log` all that it printed.

    `whole_log` is the command that prints the log, if the container is still there.
    """

    def __init__(self, reason: str, lines: list[str] | None = None, log: str = "", whole_log: str = "") -> None:
        super().__init__(reason)
        self.lines = lines or []
        self.log = log
        self.whole_log = whole_log


class ConnectionLost(ReleaseError):  # noqa: N818 - named as what has happened
    """The engine cannot be reached any more, so nothing can be undone now either."""


class InterruptedByUser(Exception):  # noqa: N818 - named as what has happened
    """A signal asked to stop: Ctrl-C, SIGTERM, or SIGHUP of a terminal that is gone."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number
