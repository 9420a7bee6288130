"""The limit of open descriptors (RLIMIT_NOFILE) of a worker: read, and raised as far as its connections need."""

from __future__ import annotations

import sys

from ropewalk.logs.error_log import get_logger
from ropewalk.portable import resource

log = get_logger()

# A connection may have a temporary file, or a file to send, beside its socket.
PER_CONNECTION = 2

# For everything else, the application's files and databases among it: what most systems allow a whole process.
OTHERS = 1024


def max_descriptors() -> int:
    """How many descriptors this process may have."""
    if resource is None:  # Windows
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def raise_limit(connections: int) -> None:
    """Raise the soft limit to what that many connections need, if the hard limit allows it.

    A limit that is higher is kept. Programs that the application starts inherit the new one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PER_CONNECTION * connections + OTHERS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # a sandbox forbids the call, or the kernel's own maximum is lower
        log.debug("the limit of descriptors remains %d: %s", soft, error)
        return
    log.debug("the limit of descriptors was %d and is %d", soft, wanted)
