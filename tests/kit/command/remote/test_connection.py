"""deploy/kit/remote/connection.py: with a fake of `ssh` that fails as the real one does."""

import os

import pytest

from kit.errors import KitError
from kit.remote import connection, server
from kit.remote.server import Server

SHOP = Server("me", "shop.example")
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get"
    ' "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/version": dial unix /var/run/docker.sock: connect: permission denied'
)


@pytest.fixture
def ssh(tmp_path):
    """ssh(text, status): the variables with which ssh prints the text; `called()` has the arguments of each call."""
    program = tmp_path / "real/ssh"
    program.parent.mkdir()

    def fake(text, status=0, to=SHOP, **values):
        (tmp_path / "text").write_text(text)
        program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\ncat {tmp_path}/text >&2\nexit {status}\n')
        program.chmod(0o755)
        environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", **values}
        return environment | server.variables(to, environment)

    fake.called = lambda: (tmp_path / "called").read_text().splitlines()
    return fake


def test_engine_that_answers_is_accepted_over_the_shared_connection(ssh):
    connection.open_to(SHOP, ssh("26.1.5", SSH_OPTIONS="-i key -J jump"))
    (call,) = ssh.called()
    assert "-o ControlMaster=auto -o ControlPath=" in call
    assert " -i key -J jump " in call
    assert call.endswith(" -T -l me -- shop.example docker version --format {{.Server.Version}}")


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        (
            "Host key verification failed.",
            255,
            "the host key of shop.example is not known here: log in once, and compare",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            255,
            "the host key of shop.example is another one than before",
        ),
        (
            "me@shop.example: Permission denied (publickey).",
            255,
            "shop.example does not let me in: add your public key there (ssh-copy-id me@shop.example)",
        ),
        (
            "ssh: Could not resolve hostname shop.example: Name or service not known",
            255,
            "there is no server named shop.example",
        ),
        (
            "ssh: connect to host shop.example port 22: Connection refused",
            255,
            "no SSH server listens at shop.example, port 22",
        ),
        (
            "ssh: connect to host shop.example port 22: Connection timed out",
            255,
            "shop.example does not answer at port 22",
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            255,
            "shop.example ends the connection before",
        ),
        ("something else\n", 255, "me@shop.example: something else"),
        (
            "bash: line 1: docker: command not found",
            127,
            "Docker is not installed on shop.example: make setup HOST=me@",
        ),
        (DENIED, 1, "me may not use Docker on shop.example: make setup HOST=me@shop.example INSTALL=1"),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            1,
            "the Docker engine on shop.example does not run; there: sudo systemctl enable --now docker",
        ),
        ("", 0, "me@shop.example: docker there does not say its version"),
    ],
)
def test_connection_that_cannot_be_used_is_one_line_with_its_mend(ssh, said, status, reason):
    with pytest.raises(KitError) as raised:
        connection.open_to(SHOP, ssh(said, status))
    assert str(raised.value).startswith(reason)
    assert "\n" not in str(raised.value)
    assert " -O exit " in ssh.called()[-1], "the next attempt logs in again"


def test_commands_name_the_port(ssh):
    shop = Server("me", "shop.example", "2222")
    with pytest.raises(KitError, match=r"\(ssh-copy-id -p 2222 me@shop\.example\)"):
        connection.open_to(shop, ssh("Permission denied", 255, to=shop))


def test_server_that_does_not_answer_is_not_waited_for_without_end(ssh):
    environment = ssh("")
    program = environment[server.SSH]
    with open(program, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(KitError, match=r"me@shop\.example does not answer within 0 s"):
        connection.call(SHOP, ["true"], environment, patience=0.2)


def test_input_reaches_the_command(ssh):
    environment = ssh("")
    with open(environment[server.SSH], "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\nexec cat\n")
    assert connection.call(SHOP, ["true"], environment, sent=b"given") == (0, "given")
