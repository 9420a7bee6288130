"""deploy/kit/given_values.py: values that the build would refuse in words of its own."""

import pytest

from kit import given_values
from kit.errors import KitError
from kit.paths import ROOT


@pytest.mark.parametrize(
    "image",
    [
        "",
        "debian:trixie-slim",
        "python:3.12-slim-trixie",
        "registry.example:5000/team/base:1.0",
        f"debian@sha256:{'0' * 64}",
    ],
)
def test_names_of_images(image):
    given_values.check({"BASE_IMAGE": image})


@pytest.mark.parametrize("image", ["de bian", "debian:", "Team/Base!", "https://registry.example/x"])
def test_what_is_no_image(image):
    with pytest.raises(KitError, match=r"BASE_IMAGE='.*': must be the name of an image, such as debian:trixie-slim"):
        given_values.check({"BASE_IMAGE": image})


def test_file_of_passwords_has_to_be_there(tmp_path):
    given_values.check({"NETRC": str((ROOT / "README.md").relative_to(ROOT))})
    with pytest.raises(KitError, match=r"NETRC='.*/netrc': must be an existing file"):
        given_values.check({"NETRC": f"{tmp_path}/netrc"})
