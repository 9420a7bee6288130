"""deploy/backup: what is saved comes back. With PostgreSQL: tests/kit/test_services.py."""

import datetime
import errno
import io
import os
import sqlite3
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from backup import archive, commands, settings, store
from backup.errors import BackupError, UsageError


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Settings for a site with a database, in WAL mode and open, and uploads."""
    nothing = open(os.devnull)
    monkeypatch.setattr("sys.stdin", nothing)
    made = replace(
        settings.read({"BACKUP_PROJECT": "shop"}),
        data=tmp_path / "data",
        media=tmp_path / "media",
        folder=tmp_path / "backups",
    )
    for folder in (made.data, made.media, made.folder):
        folder.mkdir()
    connection = sqlite3.connect(made.data / "db.sqlite3")
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);")
    (made.media / "deep").mkdir()
    (made.media / "deep/photo.png").write_bytes(bytes(range(256)) * 5000)
    (made.data / "key").write_text("secret")
    (made.data / "key").chmod(0o600)
    yield made
    connection.close()
    nothing.close()


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def rows(site):
    connection = sqlite3.connect(site.data / "db.sqlite3")
    found = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    connection.close()
    return found


def save(site, capsys):
    commands.run(["save"], site)
    return capsys.readouterr().out.strip()


def test_site_is_as_it_was(site, capsys):
    os.utime(site.media / "deep/photo.png", (10**9, 10**9))
    name = save(site, capsys)
    for path in site.media.rglob("*.png"):
        path.unlink()
    (site.data / "later").write_text("new")
    other = sqlite3.connect(site.data / "db.sqlite3")
    with other:
        other.execute("DELETE FROM t")
    other.close()
    commands.run(["restore", name], site)
    assert files(site.data) == {"db.sqlite3", "key"}
    assert (site.data / "key").stat().st_mode & 0o777 == 0o600
    assert rows(site) == 2
    assert (site.media / "deep/photo.png").read_bytes() == bytes(range(256)) * 5000
    assert (site.media / "deep/photo.png").stat().st_mtime == 10**9  # nginx's ETag has it
    assert files(site.folder) == {name, ".lock"}


def test_rows_that_are_only_in_the_log_are_saved_and_the_log_is_not(site, capsys):
    assert (site.data / "db.sqlite3-wal").stat().st_size > 0
    name = save(site, capsys)
    with tarfile.open(site.folder / name) as tar:
        assert "data/db.sqlite3" in tar.getnames()
        assert not [member for member in tar.getnames() if "-wal" in member or "-shm" in member]


def test_check_says_what_it_has_compared(site, capsys):
    name = save(site, capsys)
    commands.run(["check"], site)
    assert capsys.readouterr().out == f"{name}: 3 files, 1 tables, 2 rows: all as they were saved\n"


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_damaged_backup_is_refused_and_nothing_is_replaced(site, capsys, at):
    path = site.folder / save(site, capsys)
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0x55
    path.write_bytes(content)
    (site.data / "later").write_text("new")
    with pytest.raises(BackupError, match=f"^{path.name}: it (is|cannot be read)"):
        commands.run(["restore", path.name], site)
    assert "later" in files(site.data)
    assert rows(site) == 2


def test_backup_is_verified_without_a_change(site, capsys, monkeypatch):
    path = site.folder / save(site, capsys)
    before = files(site.data.parent)
    commands.run(["verify", path.name], site)
    assert "a backup of shop, made at" in (said := capsys.readouterr().err)
    assert "warning" not in said
    commands.run(["verify", path.name], replace(site, project="blog"))
    assert "warning: it is a backup of another project, shop: this one is blog" in capsys.readouterr().err
    assert files(site.data.parent) == before
    with pytest.raises(BackupError, match="the profile postgres has to be off"):
        commands.run(["verify", path.name], replace(site, database_url="postgresql://x"))
    monkeypatch.setenv("BACKUP_NAME", "../mine.tar.gz")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()[:-100])))
    with pytest.raises(BackupError, match=r"^mine\.tar\.gz: it cannot be read"):
        commands.run(["verify", "-"], site)


def test_volumes_that_no_site_has_used(site, capsys, tmp_path):
    commands.run(["used"], site)
    assert capsys.readouterr().out == "used\n"
    (tmp_path / "fresh").mkdir()
    commands.run(["used"], replace(site, data=tmp_path / "fresh", media=tmp_path / "gone"))
    assert capsys.readouterr().out == ""


def test_backup_that_ends_early_is_incomplete(site, capsys):
    path = site.folder / save(site, capsys)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BackupError, match="it cannot be read"):
        commands.run(["check", path.name], site)


def test_database_that_lost_rows_is_found(site, capsys, tmp_path):
    """A manifest that says otherwise: as if the copy were not what was counted."""
    manifest = archive.Manifest("shop", "2026-11-29")
    path = site.folder / "shop-20261129-000000.tar.gz"
    with path.open("wb") as file, archive.Writer(file, manifest) as writer:
        commands.add_folder(writer, site.data, "data", tmp_path)
        manifest.counts["data/db.sqlite3"]["t"] = 3
    with pytest.raises(BackupError, match=r"^data/db\.sqlite3: the table t had 3 rows, and has 2$"):
        commands.run(["check"], site)


def test_environment_is_saved_and_printed(site, capsysbinary, monkeypatch):
    given = io.BytesIO()
    with tarfile.open(fileobj=given, mode="w") as tar:
        info = tarfile.TarInfo(".env.project")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"A=1"))
    given.seek(0)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(given))
    commands.run(["save"], site)
    name = capsysbinary.readouterr().out.decode().strip()
    commands.run(["environment", name], site)
    with tarfile.open(fileobj=io.BytesIO(capsysbinary.readouterr().out), mode="r|") as tar:
        assert [(member.name, tar.extractfile(member).read()) for member in tar] == [(".env.project", b"A=1")]
    # it is not the site's data
    commands.run(["restore", name], site)
    assert ".env.project" not in files(site.data)


@pytest.mark.parametrize("owner", ["", "shop@4e5f6a7b\n"])
def test_volume_stays_the_project_s_that_it_belongs_to(site, capsys, owner):
    (site.data / ".project").write_text("shop@0a1b2c3d\n")
    name = save(site, capsys)
    (site.data / ".project").unlink()
    if owner:
        (site.data / ".project").write_text(owner)
    commands.run(["restore", name], site)
    assert (site.data / ".project").exists() == bool(owner)
    assert not owner or (site.data / ".project").read_text() == owner


def test_backup_by_standard_output_and_input(site, capsysbinary, monkeypatch):
    commands.run(["save", "-"], site)
    content = capsysbinary.readouterr().out
    (site.data / "key").unlink()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    commands.run(["restore", "-"], site)
    assert (site.data / "key").read_text() == "secret"


def test_old_backups_are_removed_and_others_are_not(site, capsys):
    for name in ("shop-20250101-000000.tar.gz", "shop-20250102-000000.tar.gz.age", "blog-20240101-000000.tar.gz"):
        (site.folder / name).touch()
    name = save(replace(site, keep=2), capsys)
    assert files(site.folder) == {name, "shop-20250102-000000.tar.gz.age", "blog-20240101-000000.tar.gz", ".lock"}


def test_two_at_once_are_refused(site):
    with store.lock(site), pytest.raises(BackupError, match="another backup is being written"):
        commands.run(["save"], site)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["save", "x"], "'x': must be -, or nothing"),
        (["lose"], "'lose': must be one of save, list, used, check, verify, restore, environment, schedule"),
        (["check"], "there is no backup yet"),
        (["restore", "../x"], "there is no such backup; the newest: none"),
        (["restore"], "'restore': must be one of"),
    ],
)
def test_wrong_arguments(site, arguments, said):
    with pytest.raises(UsageError, match=said):
        commands.run(arguments, site)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BACKUP_AT": "25:00"}, r"^BACKUP_AT='25:00': must be times such as 03:30, separated by spaces$"),
        ({"BACKUP_KEEP": "some"}, r"^BACKUP_KEEP='some': must be an integer from 0 to 9999$"),
        ({"BACKUP_PROJECT": "../x"}, "^BACKUP_PROJECT="),
        ({"BACKUP_RECIPIENT": "me@example.org"}, "^BACKUP_RECIPIENT='me@example.org': must be a public key of age"),
    ],
)
def test_wrong_values(variables, said):
    with pytest.raises(UsageError, match=said):
        settings.read(variables)


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("", ""),
        ("sqlite:////data/db.sqlite3", ""),
        ("mysql://u:p@db.example:3306/shop", "db.example:3306/shop"),
        ("postgres://u:p@db.example/shop", "db.example/shop"),
    ],
)
def test_database_elsewhere_is_named_without_its_password(url, elsewhere):
    read = settings.read({"DATABASE_URL": url})
    assert (read.database_url, read.elsewhere) == ("", elsewhere)


def test_database_elsewhere_is_a_warning(site, capsys):
    commands.run(["save"], replace(site, elsewhere="db.example/shop"))
    assert "warning: the database at db.example/shop is not in the backup" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("times", "after", "expected"),
    [
        (("03:30",), "2026-11-29 02:00", "2026-11-29 03:30"),
        (("03:30",), "2026-11-29 03:30", "2026-11-30 03:30"),
        (("03:30", "15:30"), "2026-11-29 04:00", "2026-11-29 15:30"),
        (("03:30", "15:30"), "2026-11-30 16:00", "2026-12-01 03:30"),
    ],
)
def test_next_time(times, after, expected):
    found = commands.next_time(times, datetime.datetime.fromisoformat(after).replace(tzinfo=datetime.UTC))
    assert found.isoformat(" ")[:16] == expected


def test_scheduled_backup_that_fails_shows_in_its_health(site, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "HEALTHY", tmp_path / "healthy")
    assert commands.attempt(site)
    assert (tmp_path / "healthy").exists()
    (site.data / "other.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    assert not commands.attempt(site)
    assert not (tmp_path / "healthy").exists()
    assert "failed, and tries again in 15 minutes" in capsys.readouterr().err


def test_full_disk_is_said_with_its_folder(site, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "HEALTHY", tmp_path / "healthy")

    def fail(_settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(commands, "save", fail)
    assert not commands.attempt(site)
    assert capsys.readouterr().err.endswith(f"in 15 minutes: {site.folder}: no space left on device\n")


def test_member_that_leads_out_of_the_folder_is_refused(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        info = tarfile.TarInfo("../out")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    content.seek(0)
    with pytest.raises(BackupError, match="it cannot be read"):
        archive.unpack(content, tmp_path / "in")
    assert not Path(tmp_path / "out").exists()


def test_private_key_comes_before_the_backup(site, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"7\nthe keythe backup")))
    with commands.given_identity(replace(site, identity=Path("-"))) as complete:
        assert complete.identity.read_bytes() == b"the key"
        assert complete.identity.stat().st_mode & 0o777 == 0o600
        assert commands.received(site.folder).read_bytes() == b"the backup"
    assert not complete.identity.exists()
    with commands.given_identity(site) as complete:
        assert complete is site


@pytest.mark.parametrize("given", [b"", b"the key", b"0\n"])
def test_private_key_that_did_not_arrive_is_refused(site, monkeypatch, given):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    with pytest.raises(UsageError, match="must begin with the length of a private key"):
        commands.run(["check"], replace(site, identity=Path("-")))
