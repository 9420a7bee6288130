"""deploy/kit/project/upload_folders.py: where uploads lie in a project, by its source alone."""

import pytest

from kit.project import upload_folders
from kit.project.reading import modules


def find(folder, work_folder=""):
    return [str(each) for each in upload_folders.find(modules(folder, 3), folder / work_folder, folder)]


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("MEDIA_ROOT = BASE_DIR / 'media'", "media"),
        ("MEDIA_ROOT = os.path.join(BASE_DIR, 'files/media')", "files/media"),
        ("PUBLIC = BASE_DIR / 'public'\nMEDIA_ROOT = str(PUBLIC / 'media')", "public/media"),
        ("MEDIA_ROOT: str = os.environ.get('MEDIA', 'media')", "media"),
        ("app.config['UPLOAD_FOLDER'] = os.path.join(app.instance_path, 'uploads')", "instance/uploads"),
        ("class C:\n    UPLOADED_PHOTOS_DEST = 'photos'", "photos"),
        ("create(UPLOAD_DIR='shop/uploads')", "shop/uploads"),
        ("UPLOAD_FOLDER = 'uploads'", "shop/uploads"),
        ("image = models.ImageField(upload_to='pictures/%Y')", "pictures"),
    ],
)
def test_folder_of_uploads_is_found(project, text, folder):
    root = project({"shop/config.py": f"{text}\n", f"{folder}/a.png": "x"})
    assert find(root) == [folder]


def test_django_s_folder_is_beside_manage(project):
    root = project(
        {"src/shop/settings.py": "MEDIA_ROOT = BASE_DIR / 'media'\n", "src/media/a.png": "x", "media/b": "x"}
    )
    assert find(root, "src") == ["src/media"]


@pytest.mark.parametrize(
    "text",
    [
        "MEDIA_ROOT = '/srv/media'",
        "MEDIA_ROOT = BASE_DIR",
        "MEDIA_ROOT = os.environ['MEDIA']",
        "MEDIA_ROOT = BASE_DIR / 'nowhere'",
        "MEDIA_ROOT = BASE_DIR / 'shop'",
        "MEDIA_ROOT = '../other'",
        "MEDIA_ROOT = '/x'\nimage = models.ImageField(upload_to='pictures')",
        "def (",
    ],
)
def test_what_is_none_of_the_project_s_or_code_is_left_alone(project, text):
    assert find(project({"shop/config.py": f"{text}\n", "shop/a.py": "", "pictures/x": ""})) == []
