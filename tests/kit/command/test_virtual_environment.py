"""deploy/kit/virtual_environment.py."""

import subprocess

import pytest

from kit import virtual_environment
from kit.errors import KitError


def test_environment_is_made_once_and_again_when_its_interpreter_is_gone(tmp_path, capsys):
    folder = tmp_path / "venv"
    virtual_environment.create(folder)
    assert subprocess.run([folder / "bin/pip", "--version"], capture_output=True, check=False).returncode == 0
    (folder / "mark").touch()
    virtual_environment.create(folder)
    assert (folder / "mark").exists()
    assert capsys.readouterr().out.count("Creating the virtual environment") == 1
    (folder / "bin/python").unlink()
    virtual_environment.create(folder)
    assert not (folder / "mark").exists()
    assert virtual_environment.works(folder)


def test_python_without_ensurepip_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_environment, "can_create", lambda: False)
    with pytest.raises(KitError, match="apt-get install python3-venv"):
        virtual_environment.create(tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_environment_of_another_interpreter_is_made_again(tmp_path, monkeypatch):
    folder = tmp_path / "venv"
    virtual_environment.create(folder, with_pip=False)
    assert virtual_environment.works(folder, with_pip=False)
    assert not virtual_environment.works(folder)
    (folder / "mark").touch()
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho 'another Python'\n")
    other.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(virtual_environment.sys, "executable", str(other))
        assert not virtual_environment.works(folder, with_pip=False)
    virtual_environment.create(folder, with_pip=False)
    assert (folder / "mark").exists()


def test_python_without_ensurepip_can_make_one_without_pip(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_environment, "can_create", lambda: False)
    virtual_environment.create(tmp_path / "venv", with_pip=False)
    assert virtual_environment.works(tmp_path / "venv", with_pip=False)


def test_place_where_none_can_be_made_is_an_error_without_a_traceback(tmp_path, capfd):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "venv").symlink_to("elsewhere")
    with pytest.raises(KitError, match="cannot be created; the reason is above"):
        virtual_environment.create(tmp_path / "venv", with_pip=False)
    assert "Unable to create directory" in capfd.readouterr().err
