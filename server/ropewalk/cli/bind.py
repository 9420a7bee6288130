"""The listening sockets of the master: from `--bind`, from systemd, or inherited from an old master."""

from __future__ import annotations

import os

from ropewalk.config.load import Loaded
from ropewalk.config.settings import Settings
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import get_logger
from ropewalk.net.listeners.inherited import (
    VARIABLES,
    adopt_listener,
    inherited_descriptors,
    inherited_listeners,
    inherited_names,
)
from ropewalk.net.listeners.open import SYSTEMD, Listeners, describe, open_by_bind
from ropewalk.net.listeners.unix import DEFAULT_MODE


def listen(loaded: Loaded, inherited: Listeners) -> Listeners:
    """The listening sockets: those of `--bind` if it is given, or else systemd's, or else of PORT. Raises ConfigError.

    Those that `inherited` has, from an old master, are removed from there and not opened again.
    """
    settings, log, pid = loaded.settings, get_logger(), os.getpid()
    passed, names = inherited_descriptors(os.environ, pid), inherited_names(os.environ, pid)
    is_from_port = loaded.is_platform_default("bind")
    is_unset = loaded.is_default("bind") or is_from_port
    try:
        if passed and is_unset:
            opened = {SYSTEMD: inherited_listeners(os.environ)}
        elif SYSTEMD in inherited and is_unset:
            opened = {SYSTEMD: inherited.pop(SYSTEMD)}
        else:
            opened = open_by_bind(settings.bind, inherited, backlog=settings.backlog, unix_mode=_unix_mode(settings))
    except ConfigError as error:
        if error.setting != "bind":
            raise
        raise ConfigError("--bind", error.value, error.allowed, loaded.origin("bind")) from None
    finally:
        for variable in VARIABLES:
            os.environ.pop(variable, None)
    is_passed = SYSTEMD in opened
    if is_passed and is_from_port:
        log.warning("PORT has no effect: systemd passes the listening sockets")
    listeners = [listener for each in opened.values() for listener in each]
    for listener in listeners:
        name = names.get(listener.fileno(), "")
        origin = f", passed by systemd as {name}" if name else ", from PORT" if is_from_port and not is_passed else ""
        where = describe(listener, scheme="https" if settings.certfile else "http")
        log.routine("Listening at: %s (%d)%s", where, pid, origin)
    for descriptor in set(passed) - {listener.fileno() for listener in listeners}:
        _close_unused(descriptor)
    return opened


def _close_unused(descriptor: int) -> None:
    """Close a socket that systemd passed and `--bind` does not name."""
    try:
        listener = adopt_listener(descriptor)
    except ValueError:
        return
    get_logger().warning(
        "%s, passed by systemd, is not used because --bind is set: connections to it are not accepted "
        "(unset --bind, or add fd://%d to it)",
        describe(listener),
        descriptor,
    )
    listener.close()


def _unix_mode(settings: Settings) -> int:
    return DEFAULT_MODE & ~(settings.umask or 0) if settings.unix_mode is None else settings.unix_mode
