"""The user, group and supplementary groups of the workers, by name or number.

The master keeps those that it was started with, so that it can bind, write its files and send signals; each worker
changes its own after the fork, before anything of the application is loaded.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from typing import NamedTuple

from ropewalk.errors import ConfigError
from ropewalk.trusted_files import hold_socket

USER, GROUP = "--user", "--group"

UNCHANGED = -1
"""For chown(2), an owner that stays as it is."""

FILE_MODE = 0o640
"""Of the error log and the access log."""


class Identity(NamedTuple):
    """The ids that a process changes to; None stays as it is."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None

    def apply(self) -> None:
        """Change this process, irrevocably. Raises ConfigError."""
        try:
            # The user last: afterwards this process has no right to change the others.
            if self.groups is not None:
                os.setgroups(self.groups)
            if self.group is not None:
                os.setresgid(self.group, self.group, self.group)
            if self.user is not None:
                os.setresuid(self.user, self.user, self.user)
        except OSError as error:
            setting, value = (USER, self.user) if self.user is not None else (GROUP, self.group)
            raise ConfigError(setting, value, f"cannot change to it: {error.strerror}") from None

    def create_file(self, path: str) -> None:
        """Create a file that the workers will append to, owned by this identity, unless it exists.

        The owner of one that exists does not change: a user who may write in its directory could have linked another
        file there. If it cannot be created, opening it later reports why.
        """
        if self.user is None and self.group is None:
            return
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                os.fchown(descriptor, *self._owner)
            finally:
                os.close(descriptor)

    def chown_socket(self, path: str) -> None:
        """Make this identity the owner of a Unix socket's file. Raises ConfigError."""
        if self.user is None and self.group is None:
            return
        try:
            # By a descriptor, so that what is checked is what changes; fchown(2) does not take an O_PATH descriptor.
            held = hold_socket(path)
            try:
                os.chown(f"/proc/self/fd/{held}", *self._owner)
            finally:
                os.close(held)
        except OSError as error:
            raise ConfigError("--bind", f"unix:{path}", f"cannot change the socket's owner: {error.strerror}") from None

    @property
    def trusted_owners(self) -> set[int] | None:
        """The users besides root to whose files root may write; None for any, if the workers do not change user."""
        return None if self.user is None else {self.user}

    @property
    def _owner(self) -> tuple[int, int]:
        return UNCHANGED if self.user is None else self.user, UNCHANGED if self.group is None else self.group


def find_identity(user: str, group: str) -> Identity:
    """The identity of a user and a group, each a name, a number, or "" for none.

    Without a group it is the user's primary one. The supplementary groups are those that the system's databases list
    for the user, and no others: what the master may read by its own groups, the workers may not. That is stricter than
    gunicorn, whose workers keep root's groups. Raises ConfigError.
    """
    group_id = _find_group(group) if group else None
    if not user:
        _check_permission(GROUP, group, group_id is None or group_id == os.getegid() == os.getgid())
        return Identity(None, group_id, None)
    account, user_id = _find_user(user)
    if group_id is None:
        if account is None:
            raise ConfigError(USER, user, "no user has this number, so its group is unknown: give one with --group")
        group_id = account.pw_gid
    groups = tuple(os.getgrouplist(account.pw_name, group_id)) if account is not None else (group_id,)
    is_current = (user_id, group_id) == (os.geteuid(), os.getegid()) == (os.getuid(), os.getgid())
    _check_permission(USER, user, is_current)
    # A process that is to stay the same user need not be root, and may not set groups.
    return Identity(user_id, group_id, groups if os.geteuid() == 0 else None)


def _find_user(text: str) -> tuple[pwd.struct_passwd | None, int]:
    if text.isascii() and text.isdigit():
        number = _number(USER, text)
        try:
            return pwd.getpwuid(number), number
        except KeyError:
            return None, number
    try:
        account = pwd.getpwnam(text)
    except KeyError:
        raise ConfigError(USER, text, "no such user") from None
    return account, account.pw_uid


def _find_group(text: str) -> int:
    if text.isascii() and text.isdigit():
        return _number(GROUP, text)
    import grp  # only if a group is named

    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigError(GROUP, text, "no such group") from None


def _number(setting: str, text: str) -> int:
    if len(text) > 10 or int(text) >= 2**32 - 1:  # the last one is UNCHANGED
        raise ConfigError(setting, text, "must be the number of a user or a group, below 4294967295")
    return int(text)


def _check_permission(setting: str, value: str, is_current: bool) -> None:
    if not is_current and os.geteuid() != 0:
        raise ConfigError(setting, value, "only root can start workers as another user or group")
