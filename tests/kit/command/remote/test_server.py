"""deploy/kit/remote/server.py: what HOST may be, and the variables that follow from it."""

import os
import socket
import stat

import pytest

from kit.errors import KitError
from kit.remote import server
from kit.remote.server import Server


@pytest.mark.parametrize(
    ("text", "found", "words"),
    [
        ("deploy@shop.example", Server("deploy", "shop.example"), ["-l", "deploy", "--", "shop.example"]),
        (
            "ssh://root@192.0.2.7:2222",
            Server("root", "192.0.2.7", "2222"),
            ["-l", "root", "-p", "2222", "--", "192.0.2.7"],
        ),
        ("me@[2001:db8::1]:22", Server("me", "2001:db8::1", "22"), ["-l", "me", "-p", "22", "--", "2001:db8::1"]),
    ],
)
def test_server_is_a_user_and_a_name(text, found, words):
    assert server.read(text) == found
    assert found.words == words
    assert f"ssh://{found}" == (text if text.startswith("ssh:") else f"ssh://{text}")


@pytest.mark.parametrize(
    "text",
    ["shop.example", "tcp://me@shop", "me@", "@shop", "me@shop:99999", "me@-oProxyCommand=x", "me@a b", "-x@shop"],
)
def test_anything_else_is_refused(text):
    with pytest.raises(KitError) as raised:
        server.read(text)
    assert str(raised.value) == f"HOST={text!r}: must be user@server, or user@server:port"


def kit(**values):
    return {"PATH": os.environ["PATH"], "COMPOSE_ENV_FILES": "/dev/null", **values}


@pytest.mark.parametrize("value", ["", "  ", socket.gethostname()])
def test_without_a_server_the_engine_is_this_machine_s(value):
    assert server.find(kit(HOST=value)) is None
    assert server.of(kit(HOST=value)) is None


def test_server_may_be_named_in_the_file_of_variables(tmp_path):
    (tmp_path / "variables").write_text("HOST=deploy@shop.example\n")
    assert server.find(kit(COMPOSE_ENV_FILES=str(tmp_path / "variables"))) == Server("deploy", "shop.example")
    assert server.find(kit(COMPOSE_ENV_FILES=str(tmp_path / "variables"), HOST="")) is None


@pytest.fixture
def ssh(tmp_path):
    program = tmp_path / "real/ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    return program


def test_docker_finds_an_ssh_that_shares_one_connection(ssh, tmp_path):
    environment = kit(PATH=str(ssh.parent), XDG_RUNTIME_DIR=str(tmp_path))
    environment |= server.variables(Server("me", "shop.example"), environment)
    assert environment["DOCKER_HOST"] == "ssh://me@shop.example"
    assert environment["PATH"].split(os.pathsep) == [str(server.BIN), str(ssh.parent)]
    assert environment[server.SSH] == str(ssh)
    assert environment["COMPOSE_PARALLEL_LIMIT"] == "4", "sshd allows ten sessions on a connection"
    assert server.of(environment) == Server("me", "shop.example")
    again = environment | server.variables(Server("me", "shop.example"), environment)
    assert again[server.SSH] == str(ssh), "not the kit's own, which would call itself"


def test_missing_ssh_is_reported(tmp_path):
    with pytest.raises(KitError, match="HOST needs ssh, which is not installed here"):
        server.variables(Server("me", "shop"), kit(PATH=str(tmp_path)))


@pytest.mark.parametrize("engine", ["tcp://192.0.2.7:2376", "ssh://me@blog.example"])
def test_second_engine_is_refused(ssh, engine):
    with pytest.raises(KitError, match=f"HOST=me@shop and DOCKER_HOST={engine} name two engines"):
        server.variables(Server("me", "shop"), kit(DOCKER_HOST=engine))


def test_option_with_an_open_quote_is_refused(ssh):
    with pytest.raises(KitError, match=r"SSH_OPTIONS=.*no closing quotation"):
        server.variables(Server("me", "shop"), kit(PATH=str(ssh.parent), SSH_OPTIONS="-o 'x"))


def test_sockets_are_in_a_folder_of_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "LONGEST_BASE", 200)
    path = server.folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    with pytest.raises(KitError, match="is not a folder of yours alone: remove it"):
        server.folder({"XDG_RUNTIME_DIR": str(tmp_path)})
