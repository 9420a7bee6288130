"""deploy/kit/env_files.py: .env and .env.project."""

import pytest

from kit import env_files
from kit.errors import KitError


def test_environment_takes_precedence_over_dotenv(tmp_path):
    (tmp_path / ".env").write_text("BACKEND=gunicorn\nTHREADS=4\n")
    assert env_files.read_kit({"BACKEND": "ropewalk"}, tmp_path) == {"BACKEND": "ropewalk", "THREADS": "4"}


def test_value_may_name_a_variable_of_the_environment_or_of_an_earlier_line(tmp_path):
    (tmp_path / ".env").write_text("NAME=shop\nPROJECT_DIR=$HOME/$NAME\n")
    assert env_files.read_kit({"HOME": "/home/ada"}, tmp_path)["PROJECT_DIR"] == "/home/ada/shop"


def test_other_files_can_be_named_as_for_compose(tmp_path):
    (tmp_path / ".env").write_text("A=0\n")
    (tmp_path / "a.env").write_text("A=1\nB=1\n")
    (tmp_path / "b.env").write_text("B=2$A\n")
    values = env_files.read_kit({"COMPOSE_ENV_FILES": "a.env,b.env"}, tmp_path)
    assert (values["A"], values["B"]) == ("1", "21")


def test_dotenv_with_an_error_is_reported_with_its_line(tmp_path):
    (tmp_path / ".env").write_text("BACKEND='gunicorn\n")
    with pytest.raises(KitError, match=r"^\.env, line 1: the quote ' is not closed$"):
        env_files.read_kit({}, tmp_path)


def test_project_s_file_has_the_project_s_variables(tmp_path):
    (tmp_path / ".env.project").write_text("SECRET_KEY='a$b'\nDEBUG=1\n")
    assert env_files.read_project({}, tmp_path) == {"SECRET_KEY": "a$b", "DEBUG": "1"}
    assert env_files.read_project({}, tmp_path / "nowhere") == {}


@pytest.mark.parametrize("name", env_files.SHARED_WITH_NGINX)
def test_variable_that_nginx_needs_too_belongs_into_dotenv(tmp_path, name):
    (tmp_path / ".env.project").write_text(f"{name}=60\n")
    with pytest.raises(KitError, match=rf"^\.env\.project: {name} belongs into \.env: nginx needs it too$"):
        env_files.read_project({}, tmp_path)
    assert env_files.read_project({name: "60"}, tmp_path) == {name: "60"}
