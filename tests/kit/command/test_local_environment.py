"""deploy/kit/local_environment.py: which variables `make run` gives to a project."""

import pytest

from kit import local_environment
from kit.errors import KitError

FOLDERS = {"DATA_DIR": "/run/data", "MEDIA_ROOT": "/run/data/media", "STATIC_ROOT": "/run/static"}


@pytest.fixture
def checkout(tmp_path):
    """checkout(kit, own): the root of a checkout with these two files, and the projects shop and blog beside it."""
    root = tmp_path / "ropewalk"
    for folder in (root, tmp_path / "shop", tmp_path / "blog"):
        folder.mkdir()

    def write(kit="PROJECT_DIR=../shop\n", own=""):
        (root / ".env").write_text(kit)
        (root / ".env.project").write_text(own)
        return root

    return write


def test_dotenv_names_the_project_and_what_its_application_gets(checkout, tmp_path):
    kit = "PROJECT_DIR=../shop\nWSGI_APP=web:app\nTHREADS=4\nHTTP_PORT=8081\nHTTPS_ONLY=1\nSECRET_KEY_FILE=/run/key\n"
    given = local_environment.read({"HOME": "/root"}, checkout(kit, "REGION=eu\n"))
    assert (given.folder, given.is_adopted, given.notes) == (tmp_path / "shop", True, ())
    assert given.kit["THREADS"] == "4"
    assert given.project == {"HOME": "/root", "WSGI_APP": "web:app", "THREADS": "4", "REGION": "eu"}


def test_project_s_file_comes_before_the_shell_and_the_shell_before_dotenv(checkout):
    root = checkout("PROJECT_DIR=../shop\nLOG_LEVEL=INFO\n", "DEBUG=0\nREGION=eu\n")
    given = local_environment.read({"DEBUG": "1", "LOG_LEVEL": "ERROR", "REGION": "eu"}, root)
    assert given.project == {"DEBUG": "0", "LOG_LEVEL": "ERROR", "REGION": "eu"}
    assert given.notes == ("not used from the shell, since .env.project comes first: DEBUG",)


def test_another_project_gets_nothing_of_either_file(checkout, tmp_path):
    root = checkout("PROJECT_DIR=../shop\nWSGI_APP=web:app\n", "REGION=eu\n")
    given = local_environment.read({"PROJECT_DIR": "../blog"}, root)
    assert (given.folder, given.is_adopted) == (tmp_path / "blog", False)
    assert given.project == given.kit == {"PROJECT_DIR": "../blog"}
    assert given.notes == ("not used, since they belong to ../shop: .env and .env.project",)


def test_the_same_project_by_another_path_gets_both(checkout, tmp_path):
    given = local_environment.read({"PROJECT_DIR": str(tmp_path / "shop")}, checkout(own="REGION=eu\n"))
    assert given.project["REGION"] == "eu"
    assert given.is_adopted


def test_folder_that_does_not_exist_is_refused(checkout):
    with pytest.raises(KitError, match=r"^PROJECT_DIR='\.\./nowhere': must be an existing folder$"):
        local_environment.read({}, checkout("PROJECT_DIR=../nowhere\n"))


def test_paths_in_the_container_s_volumes_are_this_machine_s(checkout):
    own = "DATABASE_URL=sqlite:////data/db.sqlite3\nUPLOADS=/srv/media/uploads\nOTHER=/database\nDATA=/data\n"
    values, notes = local_environment.complete(local_environment.read({}, checkout(own=own)), FOLDERS)
    assert values["DATABASE_URL"] == "sqlite:////run/data/db.sqlite3"
    assert (values["UPLOADS"], values["OTHER"], values["DATA"]) == ("/run/data/media/uploads", "/database", "/run/data")
    assert notes[0] == ("DATABASE_URL names a volume of the container; here it is sqlite:////run/data/db.sqlite3")


def test_entrypoint_s_variables_are_there_too(checkout, tmp_path):
    (tmp_path / "key").write_text("secret\n")
    own = f"SECRET_KEY_FILE={tmp_path}/key\nDATABASE_URL_FILE=/run/nowhere/url\n"
    values, notes = local_environment.complete(local_environment.read({}, checkout(own=own)), FOLDERS)
    assert values["SECRET_KEY"] == "secret"
    assert values["ALLOWED_HOSTS"] == "localhost,127.0.0.1,[::1]"
    assert not {"SECRET_KEY_FILE", "DATABASE_URL_FILE", "DATABASE_URL"} & set(values)
    assert notes == ["DATABASE_URL_FILE=/run/nowhere/url is not used: No such file or directory"]
