"""Users and groups: found by name or number, and changed to in a forked process."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.process.system import privileges
from ropewalk.process.system.privileges import Identity, find_identity

NOBODY = pwd.getpwnam("nobody")
IS_ROOT = os.geteuid() == 0


def in_child(action: Callable[[], None]) -> int:
    """Run `action` in a forked process; its exit status (1: it raised)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        pid = os.fork()
    if not pid:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find identities as root would; they are not applied."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_no_user_and_no_group_change_nothing() -> None:
    assert find_identity("", "") == Identity()
    assert in_child(Identity().apply) == 0


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test_user_has_the_primary_group_and_the_supplementary_groups(user: str) -> None:
    groups = tuple(os.getgrouplist("nobody", NOBODY.pw_gid))
    assert find_identity(user, "") == Identity(NOBODY.pw_uid, NOBODY.pw_gid, groups)


@pytest.mark.usefixtures("as_root")
def test_group_takes_precedence_over_the_users_primary_one() -> None:
    daemon = grp.getgrnam("daemon").gr_gid
    assert find_identity("nobody", "daemon").group == daemon
    assert find_identity("nobody", str(daemon)).group == daemon
    assert daemon in (find_identity("nobody", "daemon").groups or ())


@pytest.mark.usefixtures("as_root")
def test_number_without_a_user_needs_a_group() -> None:
    assert find_identity("54321", "54322") == Identity(54321, 54322, (54322,))
    with pytest.raises(ConfigError, match="--user='54321': no user has this number, so its group is unknown"):
        find_identity("54321", "")


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("user", "group", "line"),
    [
        ("nobody-at-all", "", "--user='nobody-at-all': no such user"),
        ("", "nogroup-at-all", "--group='nogroup-at-all': no such group"),
        ("4294967295", "", "--user='4294967295': must be the number"),
        ("", "99999999999", "--group='99999999999': must be the number"),
    ],
)
def test_unknown_user_is_reported_in_one_line(user: str, group: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_identity(user, group)
    assert str(caught.value).startswith(line)


def test_only_root_may_change_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        monkeypatch.setattr(os, name, lambda: 54321)
    with pytest.raises(ConfigError, match="--user='nobody': only root can"):
        find_identity("nobody", "")
    with pytest.raises(ConfigError, match="--group='daemon': only root can"):
        find_identity("", "daemon")
    assert find_identity("54321", "54321") == Identity(54321, 54321, None)  # the current user and group


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_process_changes_irrevocably() -> None:
    someone = find_identity("nobody", "")

    def child() -> None:
        someone.apply()
        assert os.getresuid() == (NOBODY.pw_uid,) * 3
        assert os.getresgid() == (NOBODY.pw_gid,) * 3
        assert set(os.getgroups()) == set(someone.groups or ())
        with pytest.raises(PermissionError):
            os.setresuid(0, 0, 0)

    assert in_child(child) == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_failure_to_change_the_user_is_reported() -> None:
    def child() -> None:
        find_identity("nobody", "").apply()
        with pytest.raises(ConfigError, match="--user='1': cannot change to it"):
            Identity(1, None, None).apply()

    assert in_child(child) == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_created_file_belongs_to_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "log"
    find_identity("nobody", "").create_file(str(path))
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert stat.S_IMODE(status.st_mode) & ~privileges.FILE_MODE == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_existing_file_keeps_its_owner(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "log", tmp_path / "precious"
    if kind == "file":
        path.touch()
    else:
        path.symlink_to(precious)
    if kind == "link":
        precious.touch()
    find_identity("nobody", "").create_file(str(path))
    assert path.lstat().st_uid == 0
    assert precious.exists() == (kind == "link")
    assert not precious.exists() or precious.stat().st_uid == 0


def test_empty_identity_creates_no_file(tmp_path: Path) -> None:
    Identity().create_file(str(tmp_path / "log"))
    assert not (tmp_path / "log").exists()
    Identity().chown_socket(str(tmp_path / "socket"))


def test_owner_of_a_missing_socket_cannot_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot change the socket's owner: No such file"):
        Identity(1, 1).chown_socket(str(tmp_path / "socket"))
