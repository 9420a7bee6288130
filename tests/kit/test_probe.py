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

    `then` are the responses to further requests; `probe.heads` has all heads of the last call. The port is the same in
    all calls of a test, and so is what the probe keeps for the next time.
    """
    programs = tmp_path / "kit/bin"
    programs.mkdir(parents=True)
    for name in ("kit.sh", "probe", "variables", "times"):
        shutil.copy(repository / "deploy/app" / name, programs)

    port = 0

    def run(response, *path, project=None, then=()):
        nonlocal port
        if project is not None:
            (tmp_path / "kit/project.json").write_text(project)
        heads = run.heads = []
        with socket.create_server(("127.0.0.1", port)) as listener:
            port = listener.getsockname()[1]
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
            command = ["bash", programs / "probe", "127.0.0.1", str(port), *path]
            environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
            )
            thread.join()
        return done.returncode, done.stdout + done.stderr, heads[0]

    return run


def response(status):
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


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
@pytest.mark.parametrize("path", [("/admin/",), (), ("",)])
def test_status_decides_and_is_named_if_it_is_unhealthy(probe, path, status, with_path, without):
    shown = path[0] if path and path[0] else "/healthz"
    is_healthy = without if shown == "/healthz" else with_path
    # with another Host; the page for unknown paths, and /
    then = {"400": 1, "500": 2 * (shown == "/healthz")}.get(status[:3], 0)
    returned, output, head = probe(response(status), *path, then=[response(status)] * then)
    said = "" if is_healthy else f"GET {shown}: HTTP/1.1 {status}\n"
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


def test_host_that_the_project_knows_is_found_and_kept(probe):
    assert probe(response("400 Bad Request"), then=[response("404 Not Found")])[0] == 0
    assert [head.split("\r\n")[1] for head in probe.heads] == ["Host: localhost", "Host: 127.0.0.1"]
    assert "\r\nHost: 127.0.0.1\r\n" in probe(response("404 Not Found"))[2]


def test_host_of_the_settings_is_tried(probe):
    project = '{\n "allowed_hosts": [\n  ".shop.example",\n  "shop.test"\n ]\n}'
    refused = response("400 Bad Request")
    returned, _, _ = probe(refused, "/up", project=project, then=[refused, response("200 OK")])
    assert returned == 0
    assert "Host: shop.example" in probe.heads[2]
    assert "\r\nHost: shop.example\r\n" in probe(response("200 OK"), "/up")[2]


def test_project_that_responds_with_400_to_each_host_is_not_asked_again_and_again(probe):
    refused = response("400 Bad Request")
    assert probe(refused, then=[refused])[0] == 0
    assert probe(refused)[0] == 0


def test_page_that_serves_is_asked_for_where_the_one_for_unknown_paths_fails(probe):
    failed = response("500 Error")
    assert probe(failed, then=[failed, response("302 Found")])[:2] == (0, "")
    assert [head.split()[1] for head in probe.heads] == ["/healthz", "/ropewalk/no-such-page", "/"]
    assert probe(response("302 Found"))[2].startswith("GET / ")
    # and when that fails too, all is as at first
    assert probe(failed)[:2] == (1, "GET /: HTTP/1.1 500 Error\n")
    assert probe(response("404 Not Found"))[2].startswith("GET /healthz ")


def test_health_page_of_the_project_that_fails_is_believed(probe):
    returned, output, _ = probe(response("500 Error"), then=[response("404 Not Found"), response("302 Found")])
    assert returned == 1
    hint = "but the page / is well: HEALTH_PATH=/ in .env has that one requested"
    assert output == f"GET /healthz: HTTP/1.1 500 Error, {hint}\n"


def test_status_is_named_although_the_page_of_the_site_does_not_answer(probe):
    # nobody accepts the second connection
    returned, output, _ = probe(b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n")
    assert (returned, output) == (1, "GET /healthz: HTTP/1.1 500 Error\n")
