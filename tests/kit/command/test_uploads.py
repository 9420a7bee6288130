"""deploy/kit/uploads.py: uploads made during development stay out of the image, and files that git knows do not."""

import subprocess

import pytest

from kit import adopt, compose, uploads
from kit.project import facts
from tests.kit.command.test_adopt import checkout, values  # noqa: F401 - fixtures

APP = "from flask import Flask\napp = Flask(__name__)\napp.config['UPLOAD_FOLDER'] = 'uploads'\n"


@pytest.fixture
def folder(tmp_path):
    project = tmp_path / "shop"
    files = {
        "app.py": APP,
        "requirements.txt": "flask\n",
        "uploads/a b.png": "x" * 2000,
        "uploads/2026/c.png": "x" * 500,
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return project


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, timeout=30)


def commit(folder, *names):
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", *names)
    git(folder, "commit", "--quiet", "--message", "x")


def find(folder, **values):
    return uploads.find(facts.look(folder, {}), values)


def test_files_that_git_does_not_know_are_uploads(folder):
    commit(folder, "app.py")
    (found,) = find(folder)
    assert (str(found), found.patterns, found.is_known) == ("uploads (2 files, 2.5 kB)", ("uploads",), True)
    assert uploads.note(found) == (
        "Files for uploads that the image gets and git does not know: uploads (2 files, 2.5 kB); copied into the volume"
        " while that is empty. IMAGE_EXCLUDE=uploads in .env leaves them out"
    )
    assert find(folder, IMAGE_EXCLUDE="uploads") == []


def test_files_that_git_knows_are_a_part_of_the_project(folder):
    commit(folder, "app.py", "uploads/2026")
    (found,) = find(folder)
    assert (str(found), found.patterns) == ("uploads (1 file, 2.0 kB)", ("uploads/a?b.png",))
    selected = uploads.image_files.select(folder, "", "uploads/a?b.png")
    assert [entry.path for entry in selected.entries() if entry.rule] == [".git", "uploads/a b.png"]
    commit(folder, ".")
    assert find(folder) == []


def test_without_git_nobody_knows(folder):
    (found,) = find(folder)
    assert not found.is_known
    assert uploads.note(found).startswith("Files for uploads that the image gets: uploads (2 files, 2.5 kB); copied")


def test_files_that_the_image_does_not_get_are_no_matter(folder):
    (folder / ".dockerignore").write_text("uploads\n")
    assert find(folder) == []


def test_adopt_leaves_uploads_out_and_says_so(checkout, folder, capsys):  # noqa: F811 - a fixture
    commit(folder, "app.py")
    adopt.adopt(str(folder), {}, checkout)
    assert values(checkout / ".env")["IMAGE_EXCLUDE"] == "uploads"
    said = (
        "Uploads made during development, which git does not know, are left out of the image: uploads (2 files, 2.5 kB)"
    )
    assert f"==> {said}\n" in capsys.readouterr().out
    environment = {"PROJECT_DIR": str(folder), "COMPOSE_ENV_FILES": str(checkout / ".env")}
    assert "IMAGE_EXCLUDE: uploads" in compose.left_out(environment)
    adopt.adopt(str(folder), {}, checkout)
    assert "Uploads made" not in capsys.readouterr().out


def test_adopt_proposes_it_where_nobody_knows(checkout, folder, capsys):  # noqa: F811 - a fixture
    adopt.adopt(str(folder), {}, checkout)
    assert "\n#IMAGE_EXCLUDE=uploads\n" in (checkout / ".env").read_text()
    assert "If they were made during development" in capsys.readouterr().out
