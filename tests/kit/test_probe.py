"""deploy/app/probe, the health check: what it asks, what it accepts, and what it says otherwise."""

import os
import shutil
import socket
import subprocess
import threading

import pytest

PATIENCE = 30.0


@pytest.fixture
def probe(repository, tmp_path):
    """probe(response, *path, project=..., then=...): its exit status and output, and the first head that it sent.

    `then` are the responses to further requests.
    """
    programs = tmp_path / "kit/bin"
    programs.mkdir(parents=True)
    for name in ("kit.sh", "probe", "variables", "times"):
        shutil.copy(repository / "deploy/app" / name, programs)

    def run(response, *path, project=None, then=()):
        if project is not None:
            (tmp_path / "kit/project.json").write_text(project)
        heads = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE)

            def serve():
                for each in (response, *then):
                    with listener.accept()[0] as connection:
                        connection.settimeout(PATIENCE)
                        head = b""
                        while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                            head += data
                        heads.append(head.decode())
                        connection.sendall(each)

            thread = threading.Thread(target=serve)
            thread.start()
            command = ["bash", programs / "probe", "127.0.0.1", str(listener.getsockname()[1]), *path]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, check=False, env={"PATH": os.environ["PATH"]}
            )
            thread.join()
        return done.returncode, done.stdout + done.stderr, heads[0]

    return run


@pytest.mark.parametrize(
    ("status", "with_path", "without"),
    [
        ("200 OK", True, True),
        ("204 No Content", True, True),
        ("301 Moved Permanently", True, True),
        ("302 Found", True, True),
        ("404 Not Found", False, True),
        ("400 Bad Request", False, True),
        ("500 Internal Server Error", False, False),
        ("503 Service Unavailable", False, False),
    ],
)
def test_status_decides_and_is_named_if_it_is_unhealthy(probe, status, with_path, without):
    response = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    for path, is_healthy in ((("/admin/",), with_path), ((), without), (("",), without)):
        shown = path[0] if path and path[0] else "/healthz"
        said = "" if is_healthy else f"GET {shown}: HTTP/1.1 {status}\n"
        is_asked_again = status.startswith("500") and shown == "/healthz"
        returned, output, head = probe(response, *path, then=[response] if is_asked_again else [])
        assert (returned, output) == (0 if is_healthy else 1, said)
        assert head.startswith(f"GET {shown} HTTP/1.1\r\nHost: localhost\r\n")
        assert "X-Forwarded" not in head


def test_project_that_redirects_to_https_is_asked_as_over_https(probe):
    ok = b"HTTP/1.1 200 OK\r\n\r\n"
    assert "\r\nX-Forwarded-Proto: https\r\n" in probe(ok, project='{\n "https_redirect": true\n}')[2]
    assert "X-Forwarded" not in probe(ok, project='{\n "https_redirect": false\n}')[2]


def test_missing_response_is_named(probe, repository):
    assert probe(b"", "/x")[:2] == (1, "GET /x: the connection ended without a response\n")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        command = ["bash", repository / "deploy/app/probe", "127.0.0.1", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = f"GET /healthz: port {port} of 127.0.0.1 refuses connections\n"
    assert (done.returncode, done.stdout + done.stderr) == (1, said)


def test_page_for_unknown_paths_that_fails_is_told_apart_from_a_site_that_does(probe):
    failed, well = (f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode() for status in ("500 Error", "302 Found"))
    returned, output, _ = probe(failed, then=[well])
    assert returned == 1
    hint = "but the page / is well: HEALTH_PATH=/ in .env has that one requested"
    assert output == f"GET /healthz: HTTP/1.1 500 Error, {hint}\n"


def test_status_is_named_although_the_page_of_the_site_does_not_answer(probe):
    # nobody accepts the second connection
    returned, output, _ = probe(b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")
    assert (returned, output) == (1, "GET /healthz: HTTP/1.1 500 Error\n")
