"""deploy/kit/remove.py: what is removed of a project, with a small fake of docker."""

import json
import shlex

import pytest

from kit import remove
from kit.errors import KitError

MODEL = {
    "name": "shop",
    "services": {
        "app": {"image": "shop-app", "build": {}},
        "nginx": {"image": "registry:5000/front:shop", "build": {}},
        "release": {"image": "shop-app"},
    },
}
CASES = {
    "compose version --short": "2.26.1",
    "info": "",
    "compose --profile * config --format json": json.dumps(MODEL),
    "ps --all --format {{.Label*": "shop\t{root}\t\nother\t/elsewhere\t\n",
    "ps --all --quiet*project=shop": "c1\nc2\n",
    "ps --all --format {{.Names}}": "shop-app-1\nshop-deployment\nshop-deployment-new-1\nother-deployment\n",
    "volume ls*project=shop": "shop_tls\nshop_media\nshop_data\nshop_assets\n",
    "network ls*project=shop": "n1\n",
    "images*shop-app": "shop-app:latest\nshop-app:live\nshop-app:20261129-083400\nshop-app:<none>\n",
    "images*front": "registry:5000/front:shop\nregistry:5000/front:other\n",
    "system df*": json.dumps([{"Name": "shop_data", "Size": "12MB"}, {"Name": "shop_tls", "Size": "0B"}]),
}


@pytest.fixture
def docker(tmp_path):
    """docker(**changed): an environment with a docker that knows CASES, and writes down what it was asked."""
    root = tmp_path / "ropewalk"
    root.mkdir()

    def fake(changed=()):
        known = CASES | dict(changed)
        cases = "".join(
            f"{shlex.quote(words).replace('*', chr(39) + '*' + chr(39))})"
            f" printf %s {shlex.quote(said.replace('{root}', str(root)))}; exit 0 ;;\n"
            for words, said in known.items()
            if said is not None
        )
        script = (
            f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\ncase "$*" in\n{cases}*" rm "*|"rm "*) exit 0 ;;\nesac\nexit 9\n'
        )
        (tmp_path / "docker").write_text(script)
        (tmp_path / "docker").chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null"}

    fake.root = root
    fake.removed = lambda: [
        line for line in (tmp_path / "asked").read_text().splitlines() if line.startswith("rm ") or " rm " in line
    ]
    return fake


@pytest.fixture(autouse=True)
def no_project(monkeypatch):
    monkeypatch.setattr(remove.compose, "prepare", lambda environment, root: dict(environment))


def test_everything_of_the_project_and_nothing_else_is_removed(docker, capsys):
    assert remove.remove({**docker(), "FORCE": "1"}, docker.root) == 0
    assert docker.removed() == [
        "rm --force --volumes c1 c2 shop-deployment",
        "volume rm shop_assets shop_data shop_media shop_tls",
        "network rm n1",
        "image rm registry:5000/front:shop shop-app:20261129-083400 shop-app:latest shop-app:live",
    ]
    said = capsys.readouterr().out
    assert "this removes 3 containers, 4 volumes, 1 network, 4 images" in said
    assert "Lost for good: the database and the files of the project (shop_data, 12MB)" in said
    assert "Lost for good: uploads (shop_media)" in said
    assert "certificate" not in said
    assert "assets" not in said.partition("Removed")[0]
    assert "There is no backup here. make backup saves the data" in said


def test_without_a_terminal_it_needs_force(docker, monkeypatch):
    monkeypatch.setattr(remove.sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(KitError, match="without being asked: make remove FORCE=1"):
        remove.remove(docker(), docker.root)
    assert docker.removed() == []


@pytest.mark.parametrize(("typed", "is_removed"), [("shop", True), ("yes", False), ("", False)])
def test_on_a_terminal_the_name_is_asked_for(docker, monkeypatch, typed, is_removed):
    monkeypatch.setattr(remove.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: typed)
    if is_removed:
        remove.remove(docker(), docker.root)
    else:
        with pytest.raises(KitError, match="nothing was removed"):
            remove.remove(docker(), docker.root)
    assert bool(docker.removed()) is is_removed


def test_newest_backup_is_named(docker, capsys):
    (docker.root / "backups").mkdir()
    (docker.root / "backups/shop-20261129-033000.tar.gz").touch()
    remove.remove({**docker(), "FORCE": "1"}, docker.root)
    assert "The newest backup here: shop-20261129-033000.tar.gz" in capsys.readouterr().out


def test_project_of_another_checkout_is_left_alone(docker):
    with pytest.raises(KitError, match="the compose project shop belongs to /elsewhere: call make remove there"):
        remove.remove(docker({"ps --all --format {{.Label*": "shop\t/elsewhere\t\n"}), docker.root)


def test_project_whose_folder_has_gone_is_removed_by_its_name(docker, monkeypatch):
    def refuse(*_):
        raise KitError("PROJECT_DIR='gone': must be an existing folder")

    monkeypatch.setattr(remove.compose, "prepare", refuse)
    monkeypatch.setattr(remove.compose, "check_docker", lambda _: None)
    tags = {f"images*shop-{service}": f"shop-{service}:latest\n" for service in remove.SERVICES}
    environment = docker(tags)
    with pytest.raises(KitError, match="PROJECT_DIR='gone'"):
        remove.remove({**environment, "FORCE": "1"}, docker.root)
    assert remove.remove({**environment, "FORCE": "1", "COMPOSE_PROJECT_NAME": "shop"}, docker.root) == 0
    assert "shop-postgres:latest" in docker.removed()[-1]


def test_what_is_in_use_is_said(docker, capsys):
    used = {"volume rm*": None}
    environment = docker(used)
    path = docker.root.parent / "docker"
    path.write_text(
        path.read_text().replace('*" rm "*', '"volume rm "*) echo "volume is in use" >&2; exit 1 ;;\n*" rm "*')
    )
    assert remove.remove({**environment, "FORCE": "1"}, docker.root) == 1
    assert "Not removed: volume is in use" in capsys.readouterr().out


def test_nothing_there_is_no_question(docker, capsys):
    empty = dict.fromkeys([name for name in CASES if name.startswith(("ps", "volume", "network", "images"))], "")
    assert remove.remove(docker(empty), docker.root) == 0
    assert "There is nothing of shop in the engine" in capsys.readouterr().out
