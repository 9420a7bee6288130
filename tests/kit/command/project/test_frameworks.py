"""deploy/kit/project/frameworks.py: what is installed for a project that lists nothing."""

import pytest

from kit.project import facts, frameworks, install, manifests, report

BOTTLE = "import bottle\napp = bottle.Bottle()\n"
TWO = "try:\n    import flask.views\nexcept ImportError:\n    from falcon import App\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"app.py": BOTTLE}, {"bottle": "app.py:1"}),
        ({"shop/wsgi.py": "import os\nfrom django.core import wsgi\n"}, {"django": "shop/wsgi.py:2"}),
        ({"app.py": TWO}, {"falcon": "app.py:4", "flask": "app.py:2"}),
        ({"app.py": "def later():\n    import flask\n"}, {}),
        ({"app.py": "from . import flask\nimport flasky, pyramids\n# import bottle\n"}, {}),
        ({"app.py": "import bottle\n", "bottle.py": "..."}, {}),
        ({"app.py": "import django\n", "django/__init__.py": ""}, {}),
        ({"tests/test_app.py": "import flask\n", "docs/conf.py": "import flask\n"}, {}),
        ({"app.py": "import flask\n def"}, {}),
    ],
)
def test_framework_that_is_imported(project, files, found):
    assert frameworks.find(project(files)) == found


def test_it_is_installed_only_if_no_file_lists_dependencies(project):
    found = manifests.find(project({"app.py": BOTTLE}), {})
    assert (found.file, found.requirements, found.has_packages) == ("", ("bottle",), True)
    said = "no file lists the dependencies, but the code imports bottle (app.py:1): installed in the current version."
    assert found.notes == (f"{said} List and pin it in requirements.txt",)
    assert manifests.find(project({"requirements.txt": ""}), {}).requirements == ()


def test_report_names_it(project):
    lines = list(report.lines(facts.look(project({"app.py": BOTTLE}), {})))
    assert lines[0] == "dependencies  bottle"
    assert lines[1].strip().startswith("no file lists the dependencies, but")


def test_image_installs_the_same_without_the_code(project, tmp_path):
    folder = project({"app.py": BOTTLE})
    copied = tmp_path / "copied"
    copied.mkdir()
    install.copy_files(manifests.find(folder, {}), folder, copied)
    assert [path.name for path in copied.iterdir()] == ["requirements.txt"]
    assert manifests.find(copied, {}).requirements == ("bottle",)
