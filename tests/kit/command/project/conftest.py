"""A project in a temporary folder, made of texts."""

import textwrap

import pytest


@pytest.fixture
def project(tmp_path):
    """project({"app.py": "..."}): the folder with those files."""
    folder = tmp_path / "shop"
    folder.mkdir()

    def write(files):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return folder

    return write
