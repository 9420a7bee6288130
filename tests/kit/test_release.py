"""deploy/app/release.py: static files are published additively, one release at a time."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import release


def files(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folders(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "css").mkdir(parents=True)
    target.mkdir()
    (source / "css/a.1234567890ab.css").write_text("a")
    (source / "robots.txt").write_text("1")
    return source, target


def test_new_files_are_added_and_changed_ones_replaced(folders):
    source, target = folders
    release.publish(source, target)
    (source / "robots.txt").write_text("two")
    release.publish(source, target)
    published = files(target)
    published.pop(".published.json")
    assert published == {"css/a.1234567890ab.css": "a", "robots.txt": "two"}


def test_what_the_old_release_serves_stays_until_nginx_is_switched(folders):
    source, target = folders
    release.publish(source, target)
    release.describe({"static_url": "/static/", "files_digest": "one"}, target)
    before = files(target)
    (source / "robots.txt").write_text("two")
    (source / "new.css").write_text("n")
    (source / "css/a.1234567890ab.css").unlink()
    (source / "css").rmdir()
    (source / "css").write_text("a file")
    changed = {"static_url": "/assets/", "files_digest": "two"}
    is_waiting = release.publish(source, target, only_new=True)
    release.describe(changed, target, only_new=True, is_waiting=is_waiting)
    assert is_waiting
    now = files(target)
    assert now.pop("new.css") == "n"
    assert now.pop(".site") == "STATIC_URL=/static/\n"
    kept = ("robots.txt", "css/a.1234567890ab.css")
    assert {name: now[name] for name in kept} == {name: before[name] for name in kept}
    release.publish(source, target)
    release.describe(changed, target)
    assert files(target)["css"] == "a file"
    assert files(target)["robots.txt"] == "two"
    assert files(target)[".site"] == "STATIC_URL=/assets/\nFILES=two\n"


def test_release_that_only_adds_files_is_published_at_once(folders):
    source, target = folders
    release.publish(source, target)
    release.describe({"static_url": "/static/", "files_digest": "one"}, target)
    (source / "new.css").write_text("n")
    is_waiting = release.publish(source, target, only_new=True)
    release.describe({"static_url": "/static/", "files_digest": "two"}, target, only_new=True, is_waiting=is_waiting)
    assert not is_waiting
    assert files(target)[".site"] == "STATIC_URL=/static/\nFILES=two\n"


def test_file_of_an_older_release_stays_for_the_pages_that_still_name_it(folders):
    source, target = folders
    release.publish(source, target)
    (source / "css/a.1234567890ab.css").unlink()
    release.publish(source, target)
    assert (target / "css/a.1234567890ab.css").exists()


def test_file_that_no_release_had_for_long_is_removed(folders):
    source, target = folders
    release.publish(source, target)
    (source / "css/a.1234567890ab.css").unlink()
    record = json.loads((target / ".published.json").read_text())
    long_ago = int(time.time()) - (release.KEEP_DAYS + 1) * 86400
    record["css/a.1234567890ab.css"] = long_ago
    (target / ".published.json").write_text(json.dumps(record))
    release.publish(source, target)
    assert not (target / "css/a.1234567890ab.css").exists()
    assert (target / "robots.txt").exists()


def test_file_of_the_release_that_serves_stays_however_old_that_is(folders):
    """The old containers serve while the next release is published, and pages that they sent are open."""
    source, target = folders
    release.publish(source, target)
    record = json.loads((target / ".published.json").read_text())
    long_ago = int(time.time()) - (release.KEEP_DAYS + 1) * 86400
    (target / ".published.json").write_text(json.dumps(dict.fromkeys(record, long_ago)))
    (source / "css/a.1234567890ab.css").unlink()
    release.publish(source, target)
    assert (target / "css/a.1234567890ab.css").exists()


def test_unchanged_file_is_left_alone(folders):
    source, target = folders
    release.publish(source, target)
    first = (target / "robots.txt").stat().st_ino
    release.publish(source, target)
    assert (target / "robots.txt").stat().st_ino == first


def test_release_waits_for_another_one(repository, tmp_path):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "MIGRATE_COMMAND": "touch migrated"}
    descriptor = os.open(tmp_path / ".release.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    command = [sys.executable, str(repository / "deploy/app/release.py")]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "release: waiting for another release to finish\n"
        assert not (tmp_path / "migrated").exists()
        os.close(descriptor)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "migrated").exists()


def test_migration_that_fails_fails_the_release(repository, tmp_path):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "MIGRATE_COMMAND": "false"}
    command = [sys.executable, str(repository / "deploy/app/release.py")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False, timeout=30)
    assert done.returncode == 1


def test_data_volume_belongs_to_the_project_that_used_it_first(tmp_path, capsys):
    marker = tmp_path / ".project"
    for given in ("./sample_project", "/srv/sample_project", "sample_project"):
        release.claim(marker, given)
    assert marker.read_text() == "sample_project\n"
    with pytest.raises(SystemExit) as ended:
        release.claim(marker, "../shop")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "holds the data of 'sample_project', and this image is of 'shop': set COMPOSE_PROJECT_NAME in .env" in said


def test_folders_of_the_same_name_are_two_projects(tmp_path, capsys):
    marker = tmp_path / ".project"
    for given in ("shop", "shop@0a1b2c3d", "../shop"):  # from before there were digests, and plain `docker compose`
        release.claim(marker, given)
    assert marker.read_text() == "shop@0a1b2c3d\n"
    with pytest.raises(SystemExit):
        release.claim(marker, "shop@4e5f6a7b")
    assert "(or PROJECT_ID=shop@0a1b2c3d, if it is the same project)" in capsys.readouterr().err


def test_container_that_does_not_know_its_project_claims_nothing(tmp_path):
    release.claim(tmp_path / ".project", "")
    assert not (tmp_path / ".project").exists()


def test_static_file_that_became_a_folder_and_back(folders):
    source, target = folders
    release.publish(source, target)
    (source / "robots.txt").unlink()
    (source / "robots.txt").mkdir()
    (source / "robots.txt/a.txt").write_text("a")
    release.publish(source, target)
    assert files(target / "robots.txt") == {"a.txt": "a"}
    (source / "robots.txt/a.txt").unlink()
    (source / "robots.txt").rmdir()
    (source / "robots.txt").write_text("2")
    release.publish(source, target)
    assert (target / "robots.txt").read_text() == "2"
    assert set(json.loads((target / ".published.json").read_text())) == {"css/a.1234567890ab.css", "robots.txt"}


def run_release(repository, folder, **variables):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), **variables}
    command = [sys.executable, "-I", str(repository / "deploy/app/release.py")]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=30)


def test_reason_is_the_last_line_after_the_project_s_own_traceback(repository, tmp_path):
    (tmp_path / "fails.py").write_text("import os\nprint('migrating', flush=True)\nos.environ['API_KEY']\n")
    done = run_release(repository, tmp_path, MIGRATE_COMMAND=f"{sys.executable} fails.py")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert "migrating" in lines
    assert "KeyError: 'API_KEY'" in lines
    assert lines[-1].startswith("release: the project needs the variable API_KEY, which is not set: add API_KEY=... to")


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [("sh -c 'exit 3'", 3, "exit status 3"), ("sh -c 'kill $$'", 143, "signal 15")],
)
def test_command_that_ends_without_a_word_is_named(repository, tmp_path, command, status, reason):
    done = run_release(repository, tmp_path, MIGRATE_COMMAND=command)
    assert done.returncode == status
    assert done.stderr.splitlines()[-1].endswith(f": {reason}")


@pytest.mark.parametrize("status", [0, 3])
def test_process_that_a_command_leaves_behind_is_not_waited_for(repository, tmp_path, status):
    script = f"sleep 60 & echo $! >left; echo a word; exit {status}"
    try:
        done = run_release(repository, tmp_path, MIGRATE_COMMAND=f'sh -c "{script}"')
    finally:
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    assert "a word" in done.stderr.splitlines()
    assert done.returncode == status


@pytest.mark.parametrize("command", ["true && false", "true ; false", "true > log", "true 'x"])
def test_command_that_only_a_shell_can_run_is_refused(repository, tmp_path, command):
    done = run_release(repository, tmp_path, MIGRATE_COMMAND=command)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"release: MIGRATE_COMMAND={command!r}: no ")


def test_blank_command_is_none(repository, tmp_path):
    done = run_release(repository, tmp_path, MIGRATE_COMMAND=" ", INIT_COMMAND=" ")
    assert "nothing to migrate" in done.stderr
    assert "Traceback" not in done.stderr


def test_file_with_the_same_content_keeps_its_time(folders):
    """Which is in the ETag: browsers would fetch it again."""
    source, target = folders
    release.publish(source, target)
    was = (target / "robots.txt").stat().st_mtime_ns
    os.utime(source / "robots.txt", (1, 1))
    release.publish(source, target)
    assert (target / "robots.txt").stat().st_mtime_ns == was


def test_rollback_adds_static_files_and_leaves_the_database_alone(repository, folders, tmp_path):
    source, target = folders
    (tmp_path / "data").mkdir()
    variables = {"STATIC_ROOT": str(source), "ASSETS_DIR": str(target), "MIGRATE_COMMAND": "false"}
    done = run_release(repository, tmp_path / "data", ONLY_STATIC_FILES="1", **variables)
    assert (done.returncode, done.stderr) == (0, "release: static files: 2 copied, 0 old ones removed, 2 published\n")
    assert (target / "robots.txt").exists()


def test_volume_that_cannot_be_written_is_one_line(repository, tmp_path):
    (tmp_path / ".release.lock").mkdir()
    done = run_release(repository, tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert ".release.lock: Is a directory" in done.stderr


def test_nginx_is_told_where_the_files_are_and_how_to_ask_for_health(tmp_path):
    said = {
        "static_url": "/assets/",
        "media_url": "",
        "https_redirect": True,
        "files_digest": "ab12",
        "allowed_hosts": ["*", ".shop.example"],
    }
    for answer, expected in (
        ({}, ""),
        (said, "STATIC_URL=/assets/\nHTTPS_REDIRECT=1\nALLOWED_HOST=shop.example\nFILES=ab12\n"),
    ):
        release.describe(answer, tmp_path)
        assert (tmp_path / ".site").read_text() == expected


@pytest.mark.parametrize(
    ("url", "command"), [("", ""), ("sqlite:///db.sqlite3", "python manage.py migrate --noinput")], ids=["none", "one"]
)
def test_database_that_the_build_has_not_seen_is_migrated(tmp_path, monkeypatch, url, command):
    settings = (
        "import os\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3'} if os.environ['URL'] else {}}\n"
    )
    (tmp_path / "shop_settings.py").write_text(settings)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop_settings")
    monkeypatch.setenv("URL", url)
    answer = {"framework": "django", "databases": [{"alias": "default", "engine": "dummy", "name": ""}]}
    assert release.own_migration(answer) == command


def test_migrations_of_flask_need_no_option_that_old_versions_lack(tmp_path):
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/env.py").touch()
    command = release.own_migration({"framework": "flask"}, {"WSGI_APP": "shop:create_app()"}, tmp_path)
    assert command == "env FLASK_APP='shop:create_app()' flask db upgrade"
