"""The logs of an embedded server: files, as of the command, or what the program takes them with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ropewalk.config.settings import Settings
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import ErrorLog, get_logger
from ropewalk.logs.names import Names

if TYPE_CHECKING:
    from ropewalk.logs.access_record import AccessWriter

ERROR_LOG_SETTINGS = frozenset({"error_log", "error_log_format", "log_level", "node_name", "replica_name"})

OF_PROGRAM = {
    "error_log": "error_log",
    "error_logfile": "error_log",
    "access_log": "access_log",
    "access_logfile": "access_log",
}
"""Arguments that may be a function, a logger or a stream, and the settings that they are."""


class EmbeddedLogs:
    """Which logs a program wants, of the arguments that it has given to its server."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Raises ConfigError for anything else, TypeError for a log given twice."""
        self.settings = dict(arguments)
        """The other arguments, which are settings."""
        self._of_program: dict[str, Any] = {}
        for name in OF_PROGRAM.keys() & arguments.keys():
            if not isinstance(arguments[name], str | os.PathLike):
                self._take(name, self.settings.pop(name))

    def _take(self, name: str, target: Any) -> None:
        from ropewalk.logs.program_logs import is_logger, is_stream  # not needed for files

        setting = OF_PROGRAM[name]
        if not (is_logger(target) or is_stream(target) or callable(target)):
            raise ConfigError(name, target, "must be the name of a file, a function, a logger or a text stream")
        if setting in self._of_program or any(OF_PROGRAM.get(other) == setting for other in self.settings):
            raise TypeError(f"{setting}file and {setting} are the same setting")
        self._of_program[setting] = target

    def open_error_log(self, settings: Settings, opened: ExitStack) -> ErrorLog:
        """The log of the process, or one of the server's own if a setting asks for that. Raises ConfigError."""
        given = vars(settings).keys()
        if "error_log" in self._of_program:
            from ropewalk.logs.program_logs import ProgramLog

            level = settings.log_level if "log_level" in given else None
            return ProgramLog(self._of_program["error_log"], level, settings.error_log_format, _names(settings))
        if not given & ERROR_LOG_SETTINGS:
            return get_logger()
        log = ErrorLog()
        log.configure(settings.error_log, settings.log_level, settings.error_log_format, names=_names(settings))
        opened.callback(log.close)
        return log

    def open_access_log(self, settings: Settings, opened: ExitStack) -> AccessWriter | None:
        """The access log, if a setting asks for one. Raises ConfigError."""
        if "access_log" in self._of_program:
            from ropewalk.logs.program_logs import ProgramAccessLog

            return ProgramAccessLog(self._of_program["access_log"], settings.access_log_format, _names(settings))
        if not settings.access_log:
            return None
        from ropewalk.logs.access_log import AccessLog  # not needed without one

        access_log = AccessLog(settings.access_log, settings.access_log_format, _names(settings))
        opened.callback(access_log.close)
        return access_log


def _names(settings: Settings) -> Names:
    return Names(settings.node_name, settings.replica_name)
