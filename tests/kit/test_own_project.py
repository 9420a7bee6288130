"""A user's own project: outside this checkout, with or without Django, with the kit unedited."""

import shutil

import pytest

pytestmark = pytest.mark.docker

SETTINGS = """
SECRET_KEY = __import__("os").environ["SECRET_KEY"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL, STATIC_ROOT = "/static/", {root}
STATICFILES_DIRS = ["assets"]
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def test_project_without_manage_py_and_without_requirements(image_of, execute, repository, tmp_path):
    shutil.copy(repository / "tests/kit/plain_project/wsgi.py", tmp_path / "mine.py")
    image = image_of(tmp_path)
    done = execute("docker", "run", "--rm", image, "python", "-c", "import mine; print(mine.application.__name__)")
    assert done.stdout == "application\n"
    assert execute("docker", "run", "--rm", image, "find", "/app", "-name", "manage.py").stdout == ""


@pytest.mark.parametrize("root", ['"collected"', "None"], ids=["a static root of its own", "no static root"])
def test_static_files_of_a_django_project(image_of, execute, repository, tmp_path, root):
    (tmp_path / "settings.py").write_text(SETTINGS.format(root=root))
    (tmp_path / "manage.py").write_text(MANAGE)
    shutil.copy(repository / "sample_project/requirements.txt", tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/site.css").write_text("body { margin: 0 }\n" * 200)
    image = image_of(tmp_path)
    done = execute("docker", "run", "--rm", image, "find", "/srv/static", "-type", "f")
    assert sorted(done.stdout.split()) == [f"/srv/static/site.css{suffix}" for suffix in ("", ".br", ".gz")]
    # the key that settings asked for at build is in no layer
    assert "SECRET_KEY" not in execute("docker", "image", "history", "--no-trunc", image).stdout
