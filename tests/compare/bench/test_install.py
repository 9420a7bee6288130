"""The lock file is parsed so that each server can be installed on its own."""

from __future__ import annotations

from bench.install import BUILD_TOOLS, LOCK, OPTIONAL, REQUIRED, read_lock, with_dependencies


def test_a_server_is_installed_with_all_its_dependencies() -> None:
    lock = read_lock(LOCK.read_text())
    assert with_dependencies("granian", lock) == ["granian", "click"]
    assert set(with_dependencies("cheroot", lock)) == {"cheroot", "jaraco-functools", "more-itertools"}
    assert set(with_dependencies("django", lock)) >= {"django", "asgiref", "sqlparse"}


def test_everything_in_the_lock_is_installed_and_has_hashes() -> None:
    lock = read_lock(LOCK.read_text())
    names = (*BUILD_TOOLS, *REQUIRED, *OPTIONAL)
    assert set(lock) == {package for name in names for package in with_dependencies(name, lock)}
    assert all("--hash=sha256:" in requirement for requirement, _ in lock.values())


def test_a_package_with_a_version_for_each_python_keeps_both() -> None:
    lock = read_lock(
        "a==1 ; python_full_version < '3.12' \\\n    --hash=sha256:1\n    # via b\n"
        "a==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:2\n    # via c\nb==1 \\\n    --hash=sha256:3\n"
    )
    requirement, via = lock["a"]
    assert requirement.splitlines()[::2] == [
        "a==1 ; python_full_version < '3.12' \\",
        "a==2 ; python_full_version >= '3.12' \\",
    ]
    assert via == {"b", "c"}


def test_the_lock_file_names_no_index() -> None:
    assert "://" not in LOCK.read_text()
