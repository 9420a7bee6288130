"""deploy/app/project_files.py and copy_project.py: what an image gets of a project, whatever the engine."""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys

import pytest

import copy_project
import project_files
from dockerignore import PatternError
from project_files import Selection, report, rule_of_name

KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def project(tmp_path):
    """project({path: text or octets}): a folder with these files."""
    folder = tmp_path / "shop"

    def make(files):
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        folder.mkdir(exist_ok=True)
        return folder

    return make


def kept(folder, include=""):
    return [
        entry.path
        for entry in Selection(folder, include).entries()
        if not entry.rule and not (folder / entry.path).is_dir()
    ]


def left_out(folder, include=""):
    return {entry.path: entry.rule for entry in Selection(folder, include).entries() if entry.rule}


NEVER = {
    "version control": [".git/config", "vendor/lib/.git", ".hg/store", ".svn/entries"],
    "environment files": [".env", ".env.production", ".envrc", ".envs/prod/db", "config/.env", "prod.env"],
    "node_modules": ["node_modules/a/index.js", "front/node_modules/a/index.js"],
    "databases": ["db.sqlite3", "data/db.sqlite", "db.sqlite3-wal", "shop.db-journal", "dump.rdb", "DB.SQLITE3"],
    "private keys": ["id_rsa", "ssh/id_ed25519", "store.p12", "site.pfx", "putty.ppk"],
    "credentials": [".netrc", ".pgpass", ".pypirc", ".ssh/config", ".aws/credentials"],
    "caches": ["__pycache__/a.pyc", "a.pyc", ".pytest_cache/x", ".mypy_cache/x", ".DS_Store", "img/.DS_Store"],
}


@pytest.mark.parametrize(("rule", "path"), [(rule, path) for rule, paths in NEVER.items() for path in paths])
def test_file_that_never_belongs_in_an_image_is_left_out(project, rule, path):
    folder = project({path: "", "wsgi.py": ""})
    assert kept(folder) == ["wsgi.py"]
    assert set(left_out(folder).values()) == {rule}


@pytest.mark.parametrize(
    "path",
    [
        *(".env.example", ".env.production.example", "prod.env.example", ".env.sample", ".env.template", ".gitignore"),
        *(".github/workflows/ci.yml", "environment.py", "env.py", "id_rsa.pub", "a.sqlite3.txt", "cache/a.py"),
    ],
)
def test_file_of_a_similar_name_is_kept(project, path):
    assert kept(project({path: ""})) == [path]


def test_database_is_recognised_by_its_content(project):
    folder = project({"lookup.dat": "SQLite format 3 is a format", "empty.db": ""})
    with sqlite3.connect(folder / "zones") as database:
        database.execute("CREATE TABLE zones (name)")
    database.close()
    assert left_out(folder) == {"zones": "databases"}


@pytest.mark.parametrize(
    ("path", "content", "is_left_out"),
    [
        ("site.pem", KEY, True),
        ("site.pem", CERTIFICATE + KEY, True),
        ("site.pem", CERTIFICATE * 1000 + KEY, True),
        ("site.pem", CERTIFICATE, False),
        ("site.key", KEY.replace("PRIVATE", "EC PRIVATE"), True),
        ("site.key", "AAAA", False),
        ("deploy", KEY.replace("PRIVATE", "OPENSSH PRIVATE"), True),
        ("deploy", "\n\ufeff\n" + KEY, False),
        ("deploy", "\ufeff\n" + KEY, True),
        ("sign.asc", KEY.replace("KEY", "KEY BLOCK").replace("PRIVATE", "PGP PRIVATE"), True),
        ("account.json", '{"private_key": "' + KEY.replace("\n", "\\n") + '"}', True),
        ("test_keys.py", f"KEY = '''\n{KEY}'''\n", False),
        ("tls.md", f"# Keys\n{KEY}", False),
    ],
)
def test_private_key_is_recognised_by_its_content(project, path, content, is_left_out):
    assert left_out(project({path: content})) == ({path: "private keys"} if is_left_out else {})


def test_virtual_environment_is_recognised_by_its_configuration(project):
    folder = project({"python/pyvenv.cfg": "", "python/bin/python": "", "lib/python/a.py": "", "venv/a.py": ""})
    assert left_out(folder) == {"python": "virtual environments"}
    assert kept(folder) == ["lib/python/a.py", "venv/a.py"]


def test_link_inside_of_the_project_is_kept_and_one_that_leads_out_is_not(project, tmp_path):
    folder = project({"a/b.txt": ""})
    (tmp_path / "shop-secrets").mkdir()
    links = {
        "up": "a/b.txt",
        "a/back": "../a",
        "nowhere": "a/none",
        "absolute": str(folder / "a"),
        "out": "../shop-secrets",
        "a/out": "../../shop-secrets",
        "through": "out/key",
        "system": "/etc/passwd",
        "itself": "itself",
    }
    for path, target in links.items():
        (folder / path).symlink_to(target)
    found = left_out(folder)
    assert set(found) == {"absolute", "out", "a/out", "through", "system"}
    assert set(found.values()) == {"links that lead out of the project"}
    lines = report(Selection(folder), Selection(folder).entries())
    assert len(lines) == 1
    assert "a/out -> ../../shop-secrets" in lines[0]


def test_socket_and_pipe_are_left_out(project):
    folder = project({"wsgi.py": ""})
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket"))
    assert left_out(folder) == dict.fromkeys(("pipe", "socket"), "sockets, pipes and devices")


def test_dockerignore_of_the_project_is_honoured(project):
    folder = project({".dockerignore": "docs\n*.log\n!keep.log\n", "docs/a": "", "a.log": "", "keep.log": "", "b": ""})
    assert kept(folder) == [".dockerignore", "b", "keep.log"]
    assert left_out(folder) == {"a.log": ".dockerignore", "docs": ".dockerignore"}


def test_exception_in_dockerignore_keeps_what_is_in_a_folder_that_is_left_out(project):
    folder = project({".dockerignore": "*\n!src/a.py\n", "src/a.py": "", "src/b.py": "", "other/c.py": ""})
    assert kept(folder) == ["src/a.py"]
    assert left_out(folder) == dict.fromkeys((".dockerignore", "other", "src/b.py"), ".dockerignore")


def test_exception_in_dockerignore_does_not_ship_a_secret(project):
    folder = project({".dockerignore": "*\n!src\n!.env\n", "src/.env": "", "src/a.py": "", ".env": ""})
    assert kept(folder) == ["src/a.py"]


def test_dockerignore_with_an_error_is_named(project):
    folder = project({".dockerignore": "a\n[\n"})
    with pytest.raises(PatternError, match=r"\A\.dockerignore of the project: '\[': has a \["):
        Selection(folder)


def test_included_file_is_kept(project):
    folder = project(
        {"data/zones.sqlite3": "", "data/dev.sqlite3": "", "node_modules/a/x.js": "", "node_modules/b": ""}
    )
    assert kept(folder) == []
    assert kept(folder, "data/zones.*  node_modules/a") == ["data/zones.sqlite3", "node_modules/a/x.js"]
    assert left_out(folder, "node_modules/a") == {
        "data/dev.sqlite3": "databases",
        "data/zones.sqlite3": "databases",
        "node_modules/b": "node_modules",
    }


def test_what_dockerignore_leaves_out_cannot_be_included(project):
    folder = project({".dockerignore": "data\n", "data/a.sqlite3": "", "a.sqlite3": ""})
    assert kept(folder, "**/a.sqlite3") == [".dockerignore", "a.sqlite3"]
    assert left_out(folder, "**/a.sqlite3") == {"data": ".dockerignore"}


@pytest.mark.parametrize(
    "value", ["*", "**", "**/*", "*.*", ".", "/", "a ./*", "../a", "a/../../b", "!a", "[", "a/[z-a]"]
)
def test_include_that_names_no_file_of_the_project_is_refused(project, value):
    with pytest.raises(PatternError) as raised:
        Selection(project({}), value)
    assert str(raised.value).startswith(f"IMAGE_INCLUDE={value!r}: must be files or folders of the project, separated")


def test_report_is_bounded_and_printable(project):
    names = [f"{number:03}.sqlite3" for number in range(50)]
    folder = project(dict.fromkeys([*names, ".env", "x/\x1b[2J\n.env", f"{'a' * 200}.pem.p12"], ""))
    lines = report(Selection(folder, "none/*"), Selection(folder, "none/*").entries())
    assert lines == [
        f"databases: 000.sqlite3, 001.sqlite3, 002.sqlite3, and 47 more{project_files.AFTERWARDS['databases']}",
        "environment files: .env, x/?[2J?.env",
        f"private keys: {'a' * 97}...",
        "warning: 'none/*' in IMAGE_INCLUDE keeps nothing",
    ]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_copy_has_the_same_modes_whatever_the_umask(tmp_path, umask):
    script = (
        "from pathlib import Path; Path('shop/a').mkdir(parents=True); Path('shop/a/b').touch(); Path('shop/c').touch()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, umask=umask, check=True)
    (tmp_path / "shop/c").chmod(0o6777 & ~umask)
    (tmp_path / "shop/c").touch()
    os.utime(tmp_path / "shop/a/b", (1e9, 1e9))
    assert copy_project.copy(Selection(tmp_path / "shop"), tmp_path / "copy") == []
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").rglob("*")
    }
    assert modes == {"copy/a": 0o755, "copy/a/b": 0o644, "copy/c": 0o755}
    assert (tmp_path / "copy/a/b").stat().st_mtime == 1e9


def test_copy_is_what_is_kept(project, tmp_path):
    folder = project({"a/b": "text", "node_modules/x/keep.js": "", "node_modules/y": "", "empty/.env": ""})
    (folder / "link").symlink_to("a/b")
    copy_project.copy(Selection(folder, "node_modules/*/keep.js"), tmp_path / "copy")
    shutil.rmtree(folder)
    found = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert found == ["a", "a/b", "empty", "link", "node_modules", "node_modules/x", "node_modules/x/keep.js"]
    assert (tmp_path / "copy/link").read_text() == "text"


def test_command_prints_what_is_left_out_and_refuses_wrong_values_in_one_line(project, tmp_path, repository):
    folder = project({"wsgi.py": "", ".env": "", "db.sqlite3": ""})

    def run(**environment):
        command = [sys.executable, repository / "deploy/app/copy_project.py", folder, tmp_path / "copy"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)

    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"project: not in the image: databases: db.sqlite3{project_files.AFTERWARDS['databases']}",
        "project: not in the image: environment files: .env",
    ]
    done = run(IMAGE_INCLUDE="*")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("project: IMAGE_INCLUDE='*': must be ")
    assert done.stderr.count("\n") == 1


def test_rule_of_a_name():
    assert rule_of_name(".git") == "version control"
    assert rule_of_name("wsgi.py") == ""
