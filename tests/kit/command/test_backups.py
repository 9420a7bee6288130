"""deploy/kit/backups.py: with a fake of `docker` that keeps what it is given."""

import io
import os
import tarfile

import pytest

from kit import backups
from kit.errors import KitError
from kit.remote import server


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """docker(text, status): the container prints the text; `called` has all calls, `given` the last standard input."""
    monkeypatch.setattr(backups.compose, "prepare", lambda environment, _root: dict(environment))
    monkeypatch.setattr(backups.compose, "project_name", lambda _prepared: "shop")
    monkeypatch.setattr(backups.compose, "check_docker", lambda _environment: None)
    folder = tmp_path / "fake"
    folder.mkdir()

    def fake(text="saved", status=0, volume="", **values):
        script = folder / "docker"
        (folder / "text").write_text(text)
        script.write_text(
            f'#!/bin/sh\necho "$*" >>{folder}/called\n'
            f'case "$*" in\n"volume ls "*) echo "{volume}" ;;\n"ps "*) ;;\n'
            f"*' run '*) cat >{folder}/given; cat {folder}/text; exit {status} ;;\nesac\n"
        )
        script.chmod(0o755)
        return {"PATH": f"{folder}:{os.environ['PATH']}", "COMPOSE_ENV_FILES": "/dev/null", **values}

    fake.called = lambda: (folder / "called").read_text().splitlines()
    fake.given = lambda: (folder / "given").read_bytes()
    return fake


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / ".env").write_text("HTTP_PORT=80\n")
    return folder


def _runs(docker):
    """What the container did, without the question whether there are data."""
    return [call for call in docker.called() if " run " in call and not call.endswith(" used")]


def saved(root):
    return sorted(path.name for path in (root / "backups").iterdir())


def test_backup_is_a_file_for_its_owner_alone_and_has_the_variables(docker, root):
    (root / ".env.project").write_text("SECRET_KEY=x\n")
    assert backups.backup(docker("content"), root) == 0
    (name,) = saved(root)
    assert backups.NAMES.fullmatch(name)["project"] == "shop"
    assert (root / "backups" / name).read_text() == "content"
    assert (root / "backups" / name).stat().st_mode & 0o777 == 0o600
    with tarfile.open(fileobj=io.BytesIO(docker.given())) as tar:
        assert tar.getnames() == [".env", ".env.project"]


def test_backup_that_failed_leaves_no_file(docker, root):
    assert backups.backup(docker("half", status=1), root) == 1
    assert saved(root) == []


def test_only_the_newest_of_this_project_stay(docker, root):
    (root / "backups").mkdir()
    for name in ("shop-20250101-000000.tar.gz", "shop-20250102-000000.tar.gz", "blog-20250101-000000.tar.gz", "notes"):
        (root / "backups" / name).touch()
    backups.backup(docker(BACKUP_KEEP="2"), root)
    kept = saved(root)
    assert kept[:2] == ["blog-20250101-000000.tar.gz", "notes"]
    assert kept[2] == "shop-20250102-000000.tar.gz"
    assert len(kept) == 4


@pytest.mark.parametrize(
    ("values", "suffix"),
    [({}, ""), ({"BACKUP_RECIPIENT": "age1x"}, ".age"), ({"BACKUP_RECIPIENT": "me", "BACKUP_KEY": "key.asc"}, ".gpg")],
)
def test_name_says_how_it_is_encrypted(docker, root, values, suffix):
    backups.backup(docker(**values), root)
    assert saved(root)[0].endswith(f".tar.gz{suffix}")


def test_restore_saves_what_is_there_and_sends_the_file(docker, root):
    (root / "old.tar.gz").write_text("the old data")
    assert backups.restore(docker(volume="shop_data", FILE="old.tar.gz", FORCE="1"), root) == 0
    runs = [call.partition(" backup ")[2] for call in docker.called() if " run " in call and not call.endswith(" used")]
    assert [each.rpartition("backup ")[2] for each in runs] == ["verify -", "save -", "restore -"]
    assert docker.given() == b"the old data"
    assert len(saved(root)) == 1


def test_restore_removes_no_backup_and_so_not_the_one_that_it_reads(docker, root):
    (root / "backups").mkdir()
    oldest = root / "backups/shop-20250101-000000.tar.gz"
    oldest.write_text("the old data")
    environment = docker(volume="shop_data", FILE=str(oldest), FORCE="1", BACKUP_KEEP="1")
    assert backups.restore(environment, root) == 0
    assert docker.given() == b"the old data"
    assert oldest.exists()


def test_restore_asks_before_it_replaces_data(docker, root, monkeypatch):
    (root / "old.tar.gz").write_text("x")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(KitError, match=r"shop has data already, which old\.tar\.gz replaces .*: FORCE=1$"):
        backups.restore(docker(volume="shop_data", FILE="old.tar.gz"), root)
    assert [call.rpartition("backup ")[2] for call in _runs(docker)] == ["verify -"]


def test_file_that_cannot_be_restored_stops_nothing(docker, root):
    (root / "old.tar.gz").write_text("x")
    assert backups.restore(docker(status=1, volume="shop_data", FILE="old.tar.gz", FORCE="1"), root) == 1
    (call,) = _runs(docker)
    assert call.endswith("--env=BACKUP_NAME=old.tar.gz backup verify -")
    assert not [call for call in docker.called() if call.startswith("stop")]


def test_nothing_is_replaced_if_the_present_data_cannot_be_saved(docker, root, monkeypatch):
    (root / "old.tar.gz").write_text("x")
    monkeypatch.setattr(backups, "save", lambda *_: None)
    with pytest.raises(KitError, match=r"^the present data cannot be saved, so nothing is replaced$"):
        backups.restore(docker(volume="shop_data", FILE="old.tar.gz", FORCE="1"), root)
    assert len(_runs(docker)) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "^which backup"),
        ("nowhere/x.tar.gz", "must be a file, or the name of a backup"),
        ("x", "must be a file, or the name of a backup"),
    ],
)
def test_wrong_files(docker, root, given, said):
    with pytest.raises(KitError, match=said):
        backups.restore(docker(FILE=given), root)


def test_backup_of_the_schedule_is_found_by_its_name(docker, root):
    assert backups.restore(docker(FILE="shop-20250101-000000.tar.gz"), root) == 0
    assert docker.called()[-1].endswith("backup restore shop-20250101-000000.tar.gz")


def test_fresh_machine_gets_the_variables_first(docker, root):
    (root / ".env").unlink()
    (root / "site.tar.gz").write_text("x")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, text, mode in ((".env", b"PROJECT_DIR=../gone\n", 0o644), (".env.project", b"A=1\n", 0o600)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), mode
            tar.addfile(info, io.BytesIO(text))
    environment = docker(FILE="site.tar.gz")
    (root.parent / "fake/text").write_bytes(content.getvalue())
    with pytest.raises(KitError, match=r"PROJECT_DIR='\.\./gone', from the backup: the code is not there"):
        backups.restore(environment, root)
    assert (root / ".env.project").stat().st_mode & 0o777 == 0o600
    assert (root / ".env").read_text() == "PROJECT_DIR=../gone\n"


def test_server_of_the_saved_site_is_not_the_one_of_the_restored_site():
    saved = b"A=1\nHOST=me@old.example\nNOT_HOST=x\n"
    assert backups.elsewhere(saved, {}) == b"A=1\n#HOST=\nNOT_HOST=x\n"
    there = {"HOST": "me@new.example", server.SOCKET: "x"}
    assert backups.elsewhere(saved, there) == b"A=1\nHOST=me@new.example\nNOT_HOST=x\n"


def test_check_takes_the_newest_file(docker, root, capsys):
    (root / "backups").mkdir()
    for name in ("shop-20250101-000000.tar.gz", "shop-20260101-000000.tar.gz"):
        (root / "backups" / name).write_text(name)
    assert backups.check(docker(), root) == 0
    assert docker.given() == b"shop-20260101-000000.tar.gz"


def test_check_without_files_takes_the_newest_of_the_schedule(docker, root):
    backups.check(docker(), root)
    assert docker.called()[-1].endswith("backup check")


def test_private_key_is_given_to_the_container(docker, root, tmp_path):
    (tmp_path / "key.txt").write_text("the key")
    (root / "backups").mkdir()
    (root / "backups/shop-20250101-000000.tar.gz").write_text("content")
    backups.check(docker(BACKUP_IDENTITY=str(tmp_path / "key.txt")), root)
    assert "--env=BACKUP_IDENTITY=- backup check -" in docker.called()[-1]
    assert docker.given() == b"7\nthe keycontent", "read here, since the engine may be elsewhere"
    with pytest.raises(KitError, match="must be a file with the private key"):
        backups.check(docker(BACKUP_IDENTITY="/nowhere/key"), root)


def test_time_of_the_newest_is_in_its_name():
    names = ["shop-20261128-033000.tar.gz", "shop-20261129-033001.tar.gz.age", "blog-20270101-000000.tar.gz", "notes"]
    assert backups.newest_time(names, "shop").isoformat() == "2026-11-29T03:30:01+00:00"
    assert backups.newest_time(names, "other") is None


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_long_build_is_announced(docker, root, monkeypatch, capsys, seconds):
    environment = docker()
    monkeypatch.setattr(backups, "QUIET", seconds)
    backups.build(["backup"], environment)
    said = "==> Building the image of backup, which is new or has changed: a minute or more\n"
    assert capsys.readouterr().out == ("" if seconds else said)
