"""Describes running servers by address, application and folder, read from /proc, so that a person can choose one."""

from __future__ import annotations

import os
from contextlib import suppress

from ropewalk.config.flags import PROGRAM, parse_flags
from ropewalk.errors import ConfigError
from ropewalk.logs.escape import printable
from ropewalk.net.listeners.holder import addresses_of


def described(pid: int) -> str:
    """`4711: shop:app at 127.0.0.1:8000 in /home/ann/shop`, as much of it as is known."""
    parts = [f"{pid}:", _application(pid)]
    if addresses := addresses_of(pid):
        parts += ["at", ", ".join(addresses)]
    with suppress(OSError):  # it has ended
        parts += ["in", os.readlink(f"/proc/{pid}/cwd")]
    return printable(" ".join(filter(None, parts)))


def _application(pid: int) -> str:
    """That of the command line, which names none if a variable or a file does."""
    with suppress(OSError, ConfigError), open(f"/proc/{pid}/cmdline", errors="replace") as file:
        words = file.read().split("\0")[:-1]
        for position, word in enumerate(words):
            if os.path.basename(word) == PROGRAM:
                return str(parse_flags(words[position + 1 :]).get("wsgi_app", ""))
    return ""
