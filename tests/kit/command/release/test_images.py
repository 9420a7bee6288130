"""deploy/kit/release/images.py: names and tags."""

import subprocess
from datetime import UTC, datetime

import pytest

from kit.errors import KitError
from kit.release import images
from kit.release.images import Image, Release
from tests.helpers.fake_engine import FakeEngine


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("shop-app", Image("shop-app", "latest")),
        ("registry:5000/shop", Image("registry:5000/shop", "latest")),
        ("registry:5000/shop:prod", Image("registry:5000/shop", "prod")),
    ],
)
def test_name_of_the_image_is_a_repository_and_a_tag(name, image):
    assert images.read_name(name) == image


def test_name_with_a_digest_is_refused():
    with pytest.raises(KitError, match="APP_IMAGE='shop@sha256:1': must be a name without a digest"):
        images.read_name("shop@sha256:1")


def test_two_projects_in_one_repository_have_their_own_releases():
    engine = FakeEngine()
    engine.tags = {
        "shop:prod-20261129-083400": "a",
        "shop:prod-live": "a",
        "shop:test-20261129-083500": "b",
        "shop:x": "c",
    }
    assert [release.tag for release in images.releases(engine, Image("shop", "prod"))] == ["20261129-083400"]
    assert Image("shop", "prod").live == "shop:prod-live"


@pytest.mark.parametrize(
    ("tag", "commit"),
    [
        ("20261129-083400", ""),
        ("20261129-083400-1f2e3d4", "1f2e3d4"),
        ("20261129-083400-1f2e3d4-changed", "1f2e3d4+"),
    ],
)
def test_tag_has_the_time_of_the_build_and_the_commit(tag, commit):
    release = Release(tag, "sha256:1", "1MB")
    assert release.time == datetime(2026, 11, 29, 8, 34, tzinfo=UTC)
    assert release.commit == commit


def test_commit_is_that_of_the_project_s_folder(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    project = tmp_path / "shop"
    project.mkdir()
    assert images.project_commit(project, environment) == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    (project / "wsgi.py").touch()
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], env=environment, check=True, timeout=30)
    commit = images.project_commit(project, environment)
    assert images.RELEASE.fullmatch(f"20261129-083400-{commit}")["commit"] == commit
    (tmp_path / "beside").touch()
    assert images.project_commit(project, environment) == commit
    (project / "wsgi.py").write_text("1")
    assert images.project_commit(project, environment) == f"{commit}-changed"


def test_tag_is_never_used_twice():
    engine = FakeEngine()
    image = Image("shop-app", "latest")
    first = images.unused_tag(engine, image, "")
    engine.tags[image.release(first)] = "sha256:1"
    assert images.unused_tag(engine, image, "") > first
