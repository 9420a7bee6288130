"""The lock file of the benchmark is read so that each server can be installed by itself."""

from bench.install import ALWAYS, EACH_ALONE, FIRST, LOCK, locked, with_dependencies


def test_a_server_is_installed_with_all_that_it_needs():
    lock = locked(LOCK.read_text())
    assert with_dependencies("granian", lock) == ["granian", "click"]
    assert set(with_dependencies("cheroot", lock)) == {"cheroot", "jaraco-functools", "more-itertools"}
    assert set(with_dependencies("django", lock)) >= {"django", "asgiref", "sqlparse"}


def test_everything_locked_is_installed_by_somebody_and_has_hashes():
    lock = locked(LOCK.read_text())
    wanted = {one for name in (*FIRST, *ALWAYS, *EACH_ALONE) for one in with_dependencies(name, lock)}
    assert set(lock) <= wanted
    assert all("--hash=sha256:" in requirement for requirement, _ in lock.values())


def test_no_lock_file_names_an_index():
    assert "://" not in LOCK.read_text()
