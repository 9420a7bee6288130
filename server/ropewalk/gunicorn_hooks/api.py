"""The arguments of hooks: plain objects with the attributes that functions written for gunicorn read.

A hook may set further attributes, which are kept: `post_fork` sees what `pre_fork` set on a worker, and `post_request`
what `pre_request` set on a request.
"""

from __future__ import annotations

import os
from functools import cached_property

from ropewalk.config.settings import Settings, all_settings
from ropewalk.logs.error_log import ErrorLog, get_logger
from ropewalk.wsgi.environ import Environ


class Config:
    """The settings, by gunicorn's names and by Ropewalk's."""

    def __init__(self, settings: Settings) -> None:
        for setting in all_settings():
            value = getattr(settings, setting.name)
            self.__dict__[setting.name] = self.__dict__[setting.python_key] = (
                list(value) if isinstance(value, tuple) else value
            )


class Worker:
    """A worker, in the master and (a copy) in its own process."""

    def __init__(self, age: int, cfg: Config) -> None:
        self.age = age
        """Its number, counted from 1 since the master started."""
        self.pid: int | None = None
        """None before the fork."""
        self.ppid = os.getpid()
        self.alive = True
        self.booted = False
        """Whether the application is loaded; in its own process only."""
        self.cfg = cfg
        self.timeout: float = cfg.__dict__["timeout"]
        self.log: ErrorLog = get_logger()


class Server:
    """The master; in a worker, a copy from the time of the fork."""

    def __init__(self, cfg: Config) -> None:
        self.pid = os.getpid()
        self.cfg = cfg
        self.num_workers: int = cfg.__dict__["workers"]
        """The number of workers to keep running."""
        self.worker_age = 0
        """The number of workers forked so far."""
        self.WORKERS: dict[int, Worker] = {}
        """By process id, from the fork until the worker is reaped."""
        self.log: ErrorLog = get_logger()


class Request:
    """A request as in its environ: from a trusted proxy, that of the client."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ.copy()  # for `headers`: the application may change its environ
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        """The request target as received."""
        self.path = self.uri.partition("?")[0]
        """The path of `uri`, not decoded."""
        self.query: str = environ["QUERY_STRING"]
        self.version = (1, 1) if environ["SERVER_PROTOCOL"] == "HTTP/1.1" else (1, 0)
        self.scheme: str = environ["wsgi.url_scheme"]
        self.remote_addr: tuple[str, str] = (environ["REMOTE_ADDR"], environ.get("REMOTE_PORT", ""))

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """Pairs of a name, in capitals with dashes, and a value; fields of the same name are combined. Fields that are
        not trusted (`--forwarded-fields`) are left out."""
        found = [(name[5:].replace("_", "-"), value) for name, value in self._environ.items() if name[:5] == "HTTP_"]
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if name in self._environ:
                found.append((name.replace("_", "-"), self._environ[name]))
        return found


class Response:
    """The response to a request."""

    def __init__(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = status
        """As in `200 OK`."""
        self.status_code = int(status[:3])
        self.headers = headers
        """As passed to `start_response`."""
