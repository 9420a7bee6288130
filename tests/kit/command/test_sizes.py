"""deploy/kit/sizes.py, and how the tests hold the images to the table that it writes."""

import json

import pytest
import yaml

from kit import containers, sizes
from kit.errors import KitError
from tests.helpers.image_sizes import documented, strays
from tests.helpers.paths import REPOSITORY

MODEL = {"app": "shop-app", "worker": "shop-app", "nginx": "shop-nginx", "redis": "shop-redis"}
OCTETS = {"base": 100_000_000, "shop-app": 195_400_000, "shop-nginx": 113_000_000}


@pytest.fixture
def docker(monkeypatch):
    def call(words, environment, **_):
        if words[0] == "compose":
            assert environment["COMPOSE_PROFILES"] == "*"
            said = json.dumps({"services": {name: {"image": image} for name, image in MODEL.items()}})
        else:
            said = str(OCTETS.get(words[-1], ""))
        return type("Done", (), {"returncode": int(not said), "stdout": said, "stderr": "no such image\n"})

    monkeypatch.setattr(containers, "call", call)


def test_each_image_is_measured_once_with_what_runs_it(docker):
    images = sizes.measure({}, OCTETS["base"])
    assert images == [
        sizes.Image("app", ["worker"], 195_400_000, 95_400_000),
        sizes.Image("nginx", ["front"], 113_000_000, 13_000_000),
    ]
    assert sizes.table(images)[2:] == [
        f"| `app` | `worker` | 95 MB | {sizes.CONTENT['app']} |",
        f"| `nginx` | `front` | 13 MB | {sizes.CONTENT['nginx']} |",
    ]


def test_table_needs_all_images(docker, monkeypatch, capsys):
    monkeypatch.setattr(sizes.compose, "prepare", dict)
    with pytest.raises(KitError, match="have not been built: acme, backup, monitor, postgres, redis"):
        sizes.sizes({"BASE_IMAGE": "base", "DOCS": "1"})
    assert "nginx       113 MB     13 MB more than its base  front" in capsys.readouterr().out


def test_document_has_every_image_and_no_other():
    assert list(documented()) == list(containers.BUILT) == list(sizes.CONTENT)
    front = yaml.safe_load((REPOSITORY / "deploy/front/compose.yml").read_text())["services"]["front"]
    assert front["build"]["dockerfile"] == "nginx/Dockerfile"


def test_image_that_is_not_as_large_as_was_said_is_found():
    said = {"app": 95.0, "nginx": 13.0}
    assert strays({"app": 113.9, "nginx": 17.9}, said) == []
    assert strays({"app": 114.1, "nginx": 18.1}, said) == [
        "app: 114 MB more than its base, and docs/running.md says 95",
        "nginx: 18 MB more than its base, and docs/running.md says 13",
    ]
    assert strays({"app": 75.0, "other": 6.0}, said) == [
        "app: 75 MB more than its base, and docs/running.md says 95",
        "other: 6 MB more than its base, and docs/running.md says 0",
    ]
