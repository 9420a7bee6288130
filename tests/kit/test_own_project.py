"""A user's own project: outside this checkout, with or without Django, with the kit unedited."""

import secrets
import shutil

import pytest

from tests.helpers.containers import compose_project

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


UPLOADING = """
import os
SECRET_KEY, ALLOWED_HOSTS, ROOT_URLCONF, WSGI_APPLICATION = "x" * 50, ["*"], "urls", "wsgi.application"
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL, STATICFILES_DIRS = "assets/", ["assets"]
BASE_DIR = os.path.dirname(os.path.abspath(__file__))
MEDIA_URL, MEDIA_ROOT = "media/", os.path.join(BASE_DIR, "uploaded")
"""
UPLOADING_URLS = """
from django.core.files.storage import default_storage
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def upload(request):
    file = request.FILES["file"]
    return HttpResponse(default_storage.url(default_storage.save(file.name, file)))

urlpatterns = [path("upload", upload)]
"""
WSGI = """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""


DEVELOPMENT = {
    "wsgi.py": "def application(environ, start_response): ...",
    "zones.sqlite3": "SQLite format 3\0",
    "templates/page.html": "",
    ".dockerignore": "notes\n!.env\n",
    "notes/plan.md": "",
    ".git/config": "",
    ".env": "SECRET_KEY=x",
    ".env.example": "",
    "venv/pyvenv.cfg": "",
    "db.sqlite3": "SQLite format 3\0",
    "lookup": "SQLite format 3\0",
    "node_modules/a.js": "",
    "keys/site.pem": "-----BEGIN PRIVATE KEY-----",
    "__pycache__/wsgi.cpython-311.pyc": "",
}


@pytest.fixture(params=["outside", "inside"])
def development_project(repository, tmp_path, request):
    """A folder as it is on a developer's machine, outside of this checkout or inside of it."""
    folder = tmp_path / "shop"
    if request.param == "inside":
        folder = repository / "tests/kit" / f"shop-{secrets.token_hex(4)}"
    try:
        for name, content in DEVELOPMENT.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        (folder / "passwords").symlink_to("/etc/passwd")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_image_gets_no_secret_database_or_cache_of_a_project(image_of, execute, development_project):
    image = image_of(development_project, IMAGE_INCLUDE="zones.*")
    found = execute("docker", "run", "--rm", image, "find", "/app", "!", "-type", "d", "!", "-name", "*.pyc").stdout
    shipped = (".dockerignore", ".env.example", "templates/page.html", "wsgi.py", "zones.sqlite3")
    assert sorted(found.split()) == [f"/app/{name}" for name in shipped]


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
    (tmp_path / "wsgi.py").write_text(WSGI)
    shutil.copy(repository / "sample_project/requirements.txt", tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/site.css").write_text("body { margin: 0 }\n" * 200)
    image = image_of(tmp_path)
    done = execute("docker", "run", "--rm", image, "find", "/srv/static", "-type", "f")
    assert sorted(done.stdout.split()) == [f"/srv/static/site.css{suffix}" for suffix in ("", ".br", ".gz")]
    # the key that settings asked for at build is in no layer
    assert "SECRET_KEY" not in execute("docker", "image", "history", "--no-trunc", image).stdout


def upload(stack, name, content):
    """Uploads a file as a form; returns the URL that the project gives it."""
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + b"\r\n--b--\r\n"
    answer = stack.request(
        "/upload", method="POST", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status == 200, answer.content
    return answer.content.decode()


def test_media_files_of_an_unedited_project_are_served_and_survive_a_new_start(image_of, images, repository, tmp_path):
    project = {"settings.py": UPLOADING, "urls.py": UPLOADING_URLS, "wsgi.py": WSGI, "manage.py": MANAGE}
    for name, content in {**project, "assets/site.css": "body { margin: 0 }\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    shutil.copy(repository / "sample_project/requirements.txt", tmp_path)
    own = {**images, "own": image_of(tmp_path)}
    with compose_project(own, "own") as stack:
        stack.up()
        photo, page = upload(stack, "photo.png", b"photo"), upload(stack, "page.html", b"<script>")
        for _ in range(2):
            css, sent, saved = (stack.request(target) for target in ("/assets/site.css", photo, page))
            assert (css.status, css.content) == (200, b"body { margin: 0 }\n")
            assert (photo, sent.status, sent.content) == ("/media/photo.png", 200, b"photo")
            # not the application's
            assert sent.headers["Cache-Control"] == css.headers["Cache-Control"] == "no-cache"
            assert saved.headers["Content-Disposition"] == "attachment"
            stack.compose("down")
            stack.up()
