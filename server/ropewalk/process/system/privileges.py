"""Who the workers are: user, group and supplementary groups, by name or number.

The master stays as it was started, so that it can bind, write its files and signal; each worker changes after the
fork, before anything of the application is loaded.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from typing import NamedTuple

from ropewalk.errors import ConfigError
from ropewalk.trusted_files import hold_socket

USER, GROUP = "--user", "--group"

KEPT = -1
"""chown(2)'s word for an owner that stays."""

FILE_MODE = 0o640
"""The error log's and the access log's."""


class Identity(NamedTuple):
    """What a process is to become; None stays as it is."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None

    def become(self) -> None:
        """Change this process, for good. Raises ConfigError."""
        try:
            # The user last: afterwards there is no right left to change the others.
            if self.groups is not None:
                os.setgroups(self.groups)
            if self.group is not None:
                os.setresgid(self.group, self.group, self.group)
            if self.user is not None:
                os.setresuid(self.user, self.user, self.user)
        except OSError as error:
            setting, value = (USER, self.user) if self.user is not None else (GROUP, self.group)
            raise ConfigError(setting, value, f"this process may not change to it: {error.strerror}") from None

    def create(self, path: str) -> None:
        """Make the file that workers will append to theirs, if it is not there yet.

        One that is there stays as it is: whoever can write in its directory could have put another file's name there.
        A file that cannot be made is told by whoever opens it.
        """
        if self.user is None and self.group is None:
            return
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                os.fchown(descriptor, *self._owner)
            finally:
                os.close(descriptor)

    def own_socket(self, path: str) -> None:
        """Give a Unix socket's file to this identity. Raises ConfigError."""
        if self.user is None and self.group is None:
            return
        try:
            # By a descriptor, so that what is inspected is what changes hands; chown(2) does not take this kind itself.
            held = hold_socket(path)
            try:
                os.chown(f"/proc/self/fd/{held}", *self._owner)
            finally:
                os.close(held)
        except OSError as error:
            raise ConfigError(
                "--bind", f"unix:{path}", f"cannot be given to {USER} or {GROUP}: {error.strerror}"
            ) from None

    @property
    def trusted_owners(self) -> set[int] | None:
        """Besides root, whose files root may write to; None where the workers are no other user, for everybody's."""
        return None if self.user is None else {self.user}

    @property
    def _owner(self) -> tuple[int, int]:
        return KEPT if self.user is None else self.user, KEPT if self.group is None else self.group


def find_identity(user: str, group: str) -> Identity:
    """The identity of a user and a group, each a name, a number, or "" for none.

    A user without a group comes with the primary one; a user always with the supplementary groups that the system's
    databases list, and no other: what the master could read by its groups, the workers cannot. That is stricter than
    gunicorn, whose workers keep root's groups. Raises ConfigError.
    """
    group_id = _find_group(group) if group else None
    if not user:
        _check_right(GROUP, group, group_id is None or group_id == os.getegid() == os.getgid())
        return Identity(None, group_id, None)
    account, user_id = _find_user(user)
    if group_id is None:
        if account is None:
            raise ConfigError(USER, user, "no user has this number, and so no group: name one with --group")
        group_id = account.pw_gid
    groups = tuple(os.getgrouplist(account.pw_name, group_id)) if account is not None else (group_id,)
    is_this = (user_id, group_id) == (os.geteuid(), os.getegid()) == (os.getuid(), os.getgid())
    _check_right(USER, user, is_this)
    # Whoever is asked to become who they are need not be root, and may not set groups.
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
    import grp  # only where a group is named

    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigError(GROUP, text, "no such group") from None


def _number(setting: str, text: str) -> int:
    if len(text) > 10 or int(text) >= 2**32 - 1:  # the last one is KEPT
        raise ConfigError(setting, text, "is no number of a user or a group")
    return int(text)


def _check_right(setting: str, value: str, is_this: bool) -> None:
    if not is_this and os.geteuid() != 0:
        raise ConfigError(setting, value, "only root can start workers as somebody else")
