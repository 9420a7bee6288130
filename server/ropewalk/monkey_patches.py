"""Refuses gevent's and eventlet's monkey patches, which replace threads, locks and sockets by those of green threads.

The server runs requests in threads of the operating system. There, a patched lock that two threads share never wakes
the second one, a patched `subprocess` works in the main thread only, a thread that a request starts runs only while the
same thread of the server waits for something else, and no timeout interrupts a patched `sleep`. Most requests seem to
work all the same, so a refusal is better. Called by the thread that starts the server.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ropewalk.errors import ConfigError

CALLS = {"gevent": "gevent.monkey.patch_all()", "eventlet": "eventlet.monkey_patch()"}
"""The usual call that patches, by library."""

MODULES = ("os", "queue", "select", "signal", "socket", "ssl", "subprocess", "threading", "time")
"""What such a call patches."""

INTERNAL_MODULES = ("_thread", "selectors")
"""What it patches besides, which means little to a user."""


def refuse_monkey_patches(setting: str, value: object) -> None:
    """Raise a ConfigError about this setting, whose code has run, if the standard library is patched."""
    for library, call in CALLS.items():
        patched = [name for name in MODULES if _is_patched(name, library)] if library in sys.modules else []
        if patched:
            raise ConfigError(
                setting,
                value,
                f"{library} has patched {', '.join(patched)}; the server runs requests in real threads, which the "
                f"patch breaks: remove {call} or what calls it",
            )


@contextmanager
def refused_monkey_patches(setting: str, value: object) -> Iterator[None]:
    """Refuse patches by the code that runs meanwhile, and undo them: the master goes on if a reload is refused."""
    names = MODULES + INTERNAL_MODULES
    before = {name: vars(sys.modules[name]).copy() for name in names if name in sys.modules}
    # The main thread would wait for another one of its own identity when the process ends.
    main = threading.main_thread()
    attributes, ident = vars(main).copy(), threading.get_ident()
    yield
    try:
        refuse_monkey_patches(setting, value)
    except ConfigError:
        for name in sys.modules.keys() & set(names):
            if name in before:
                vars(sys.modules[name]).update(before[name])
            else:
                del sys.modules[name]  # imported again, it is as it was
        vars(main).clear()
        vars(main).update(attributes)
        threading._active = {ident: main}  # type: ignore[attr-defined]  # private
        raise


def _is_patched(name: str, library: str) -> bool:
    """Whether something in the module of that name comes from the library."""
    module = sys.modules.get(name)
    for value in [] if module is None else vars(module).values():
        origin = getattr(value, "__module__", None)
        if isinstance(origin, str) and origin.partition(".")[0] == library:
            return True
    return False
