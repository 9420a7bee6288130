"""The hooks of a `.py` file: functions with gunicorn's names that the server calls, and their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropewalk.errors import ConfigError

Hook = Callable[..., Any]

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "on_starting": ("server",),
    "on_reload": ("server",),
    "when_ready": ("server",),
    "pre_fork": ("server", "worker"),
    "post_fork": ("server", "worker"),
    "post_worker_init": ("worker",),
    "worker_int": ("worker",),
    "worker_abort": ("worker",),
    "pre_exec": ("server",),
    "pre_request": ("worker", "req"),
    "post_request": ("worker", "req", "environ", "resp"),
    "child_exit": ("server", "worker"),
    "worker_exit": ("server", "worker"),
    "nworkers_changed": ("server", "new_value", "old_value"),
    "on_exit": ("server",),
    "ssl_context": ("config", "default_ssl_context_factory"),
}
"""What each hook is called with."""

LEAST_ARGUMENTS = {"post_request": 2}
"""The number of arguments that a hook must accept, if it may omit the last ones."""


def check_hook(name: str, value: object, path: str) -> Hook:
    """`value`, if it can be called as the hook `name`; otherwise raises ConfigError."""
    arguments = ARGUMENTS[name]
    if not callable(value):
        raise ConfigError(name, value, f"must be a function of {', '.join(arguments)}", path)
    least = LEAST_ARGUMENTS.get(name, len(arguments))
    if not accepted_arguments(value, least, len(arguments)):
        count = f"{least} to {len(arguments)}" if least < len(arguments) else len(arguments)
        raise ConfigError(
            name, None, f"must take {count} argument{'s' if len(arguments) > 1 else ''}: {', '.join(arguments)}", path
        )
    return value


def accepted_arguments(function: Hook, least: int, most: int) -> int:
    """The largest number of positional arguments in this range that `function` accepts, or 0."""
    import inspect  # not needed without hooks

    try:
        signature = inspect.signature(function)
    except ValueError:
        return most  # a C function without a signature
    for count in range(most, least - 1, -1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    return 0
