"""What hooks are given: plain objects with the attributes that functions written for gunicorn read.

All of them may be given more attributes, which they keep: what `pre_fork` sets on a worker is there in `post_fork`,
what `pre_request` sets on a request in `post_request`.
"""

from __future__ import annotations

import os
from functools import cached_property

from ropewalk.config.settings import Settings, all_settings
from ropewalk.logs.error_log import ErrorLog, get_logger
from ropewalk.wsgi.environ import Environ


class Config:
    """The settings, by gunicorn's names and by ours."""

    def __init__(self, settings: Settings) -> None:
        for setting in all_settings():
            value = getattr(settings, setting.name)
            self.__dict__[setting.name] = self.__dict__[setting.python_key] = (
                list(value) if isinstance(value, tuple) else value
            )


class Worker:
    """A worker, in the master and, as a copy, in its own process."""

    def __init__(self, age: int, cfg: Config) -> None:
        self.age = age
        """Which one it is, counted from 1 since the master's start."""
        self.pid: int | None = None
        """None before it is forked."""
        self.ppid = os.getpid()
        self.alive = True
        self.booted = False
        """In its own process: whether the application is loaded."""
        self.cfg = cfg
        self.timeout: float = cfg.__dict__["timeout"]
        self.log: ErrorLog = get_logger()


class Server:
    """The master; in a worker's process a copy of what it was at the fork."""

    def __init__(self, cfg: Config) -> None:
        self.pid = os.getpid()
        self.cfg = cfg
        self.num_workers: int = cfg.__dict__["workers"]
        """How many are wanted."""
        self.worker_age = 0
        """How many were forked."""
        self.WORKERS: dict[int, Worker] = {}
        """By process id, from the fork until each is reaped."""
        self.log: ErrorLog = get_logger()


class Request:
    """A request, as its environ tells of it: behind a trusted proxy, that of the client."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ.copy()  # for `headers`: the application may change its own
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        """The request target, as it was sent."""
        self.path = self.uri.partition("?")[0]
        """Of that, not decoded."""
        self.query: str = environ["QUERY_STRING"]
        self.version = (1, 1) if environ["SERVER_PROTOCOL"] == "HTTP/1.1" else (1, 0)
        self.scheme: str = environ["wsgi.url_scheme"]
        self.remote_addr: tuple[str, str] = (environ["REMOTE_ADDR"], environ.get("REMOTE_PORT", ""))

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Names in capitals with dashes, and values; fields of one name are one, and those that are not believed
        (`--forwarded-fields`) are not there."""
        found = [(name[5:].replace("_", "-"), value) for name, value in self._environ.items() if name[:5] == "HTTP_"]
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if name in self._environ:
                found.append((name.replace("_", "-"), self._environ[name]))
        return found


class Response:
    """The answer to a request."""

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = status
        """As `200 OK`."""
        self.status_code = int(status[:3])
        self.headers = headers
        """The application's own."""
