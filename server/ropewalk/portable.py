"""The Linux functions that the server uses, with replacements for macOS, BSD and Windows.

On Linux these are the functions and numbers of `select`, `os` and `fcntl` themselves. Elsewhere an embedded server runs
on `selector_epoll`, in one process and for development.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = [
    "AF_UNIX",
    "EPOLLET",
    "EPOLLEXCLUSIVE",
    "EPOLLIN",
    "EPOLLONESHOT",
    "EPOLLOUT",
    "EPOLLRDHUP",
    "IS_LINUX_POLLING",
    "MSG_MORE",
    "O_CLOEXEC",
    "O_DIRECTORY",
    "O_NOCTTY",
    "O_NONBLOCK",
    "PIPE_BUF",
    "POLLERR",
    "POLLHUP",
    "POLLIN",
    "POLLNVAL",
    "POLLOUT",
    "POLLRDHUP",
    "Epoll",
    "Poll",
    "close_eventfd",
    "eventfd",
    "eventfd_read",
    "eventfd_write",
    "fcntl",
    "pread",
    "register_at_fork",
    "resource",
    "sendfile",
]

IS_LINUX_POLLING = hasattr(select, "epoll") and hasattr(os, "eventfd")

if TYPE_CHECKING or IS_LINUX_POLLING:
    from os import close as close_eventfd
    from os import eventfd_read, eventfd_write
    from select import EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, POLLRDHUP
    from select import epoll as Epoll  # noqa: N812 - a class

    def eventfd() -> int:
        """A descriptor that becomes readable by `eventfd_write(fd, 1)`."""
        return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

else:
    from ropewalk.selector_epoll import (
        EPOLLET,
        EPOLLEXCLUSIVE,
        EPOLLIN,
        EPOLLONESHOT,
        EPOLLOUT,
        EPOLLRDHUP,
        Epoll,
        close_eventfd,
        eventfd,
        eventfd_read,
        eventfd_write,
    )

    POLLRDHUP = 0

if TYPE_CHECKING or hasattr(select, "poll"):
    from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT
    from select import poll as Poll  # noqa: N812 - a class
else:
    from ropewalk.selector_epoll import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, Poll

try:
    import fcntl
    import resource
except ImportError:  # Windows
    fcntl = resource = None  # type: ignore[assignment]  # what needs them asks

sendfile: Callable[[int, int, int, int], int] | None = getattr(os, "sendfile", None)
AF_UNIX = getattr(socket, "AF_UNIX", None)
PIPE_BUF = getattr(select, "PIPE_BUF", 512)
MSG_MORE: int = getattr(socket, "MSG_MORE", 0)

O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_NOCTTY: int = getattr(os, "O_NOCTTY", 0)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)

if TYPE_CHECKING or hasattr(os, "pread"):
    from os import pread
else:

    def pread(fd: int, count: int, offset: int) -> bytes:
        """As os.pread, but it moves the position of the file."""
        os.lseek(fd, offset, os.SEEK_SET)
        return os.read(fd, count)


register_at_fork = getattr(os, "register_at_fork", lambda **_: None)
"""Without forks there is nothing to do."""
