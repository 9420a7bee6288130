"""A pytest plugin: the server runs as on macOS, without epoll and eventfd. `pytest -p tests.without_epoll`."""

from __future__ import annotations

import os
import select
import selectors

for module, names in {
    select: ("epoll", "EPOLL*", "POLLRDHUP"),
    os: ("eventfd*", "EFD_*", "sched_getaffinity", "memfd_create", "O_PATH", "pidfd_open"),
}.items():
    for name in list(vars(module)):
        if any(name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])) for pattern in names):
            delattr(module, name)
setattr(selectors, "DefaultSelector", selectors.PollSelector)  # noqa: B010 - to type checkers it is a type
