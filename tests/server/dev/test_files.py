"""python -m ropewalk.files: what it serves of a folder, and what not."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

import ropewalk
from ropewalk.dev.files import main
from ropewalk.files import Files
from tests.helpers.paths import SERVER
from tests.helpers.ports import free_port
from tests.helpers.terminals import CTRL_C, OnTerminal


class Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shop"
    (folder / "photos").mkdir(parents=True)
    (folder / "site").mkdir()
    (folder / "photos/a&b.png").write_bytes(b"png")
    (folder / "photos/ü:x").write_text("odd")
    (folder / "photos/.hidden").write_text("secret")
    (folder / "photos/outside").symlink_to(tmp_path / "secret")
    (folder / "photos/up").symlink_to(tmp_path)
    (tmp_path / "secret").write_text("secret")
    (folder / "site/index.html").write_text("<p>home")
    return folder


@pytest.fixture
def fetch(folder):
    with ropewalk.Server(Files(str(folder)), bind="127.0.0.1:0") as server:
        opener = urllib.request.build_opener(Unredirected)

        def fetch(path, method="GET", **headers):
            request = urllib.request.Request(server.url + path, method=method, headers=headers)
            try:
                with opener.open(request, timeout=20) as response:
                    return response.status, response.read().decode(), response.headers
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode(), error.headers

        yield fetch


def test_folder_is_listed_with_what_is_public(fetch):
    status, page, headers = fetch("/photos/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r'<a href="([^"]+)">([^<]+)</a>', page) == [
        ("../", "../"),
        ("./a%26b.png", "a&amp;b.png"),
        ("./%C3%BC%3Ax", "ü:x"),
    ]
    assert re.search(r"<td>3<td>\d{4}-\d\d-\d\d \d\d:\d\d", page)


def test_root_lists_folders_first(fetch, folder):
    (folder / "a.txt").write_text("a")
    assert re.findall(r'href="([^"]+)"', fetch("/")[1]) == ["./photos/", "./site/", "./a.txt"]


@pytest.mark.parametrize("path", ["/photos/a%26b.png", "/photos/%C3%BC:x"])
def test_links_of_the_list_lead_to_the_files(fetch, path):
    assert fetch(path)[0] == 200


def test_index_page_is_served_for_its_folder(fetch):
    assert fetch("/site/")[1] == "<p>home"
    assert fetch("/site/", Range="bytes=3-4")[:2] == (206, "ho")


def test_folder_without_a_slash_is_redirected_within_the_site(fetch):
    status, _, headers = fetch("/photos?a=b")
    assert (status, headers["Location"]) == (301, "/photos/?a=b")
    assert fetch("//photos")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/photos/.hidden", "/photos/outside", "/photos/up/", "/photos/up/secret", "/../secret", "/%2e%2e/secret"),
        *("/photos/%2e%2e/%2e%2e/secret", "/nothing", "/nothing/", "/photos/a%26b.png/", "//", "/photos//"),
    ],
)
def test_what_is_not_public_is_not_found(fetch, path):
    status, text, _ = fetch(path)
    assert status == 404
    assert "secret" not in text


def test_other_methods_are_refused_and_head_has_no_content(fetch):
    status, _, headers = fetch("/photos/", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    status, text, headers = fetch("/photos/", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 100


def test_name_that_is_no_utf_8_can_be_listed(fetch, folder):
    os.close(os.open(os.fsencode(folder / "photos") + b"/\xff", os.O_CREAT))
    assert 'href="./%FF"' in fetch("/photos/")[1]
    assert fetch("/photos/%FF")[0] == 200


COMMAND = [sys.executable, "-m", "ropewalk.files"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop", "--bind", "127.0.0.1:{port}"),
        ("shop", "{port}"),
        ("-d", "shop", "{port}"),
        ("-b", "localhost", "--directory", "shop", "{port}"),
        ("-b", "::1", "shop", "{port}"),
    ],
)
def test_command_serves_a_folder(folder, tmp_path, arguments):
    port = free_port()
    # a shell's background job, as this test may be, ignores SIGINT
    listens = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    command = [*COMMAND, *(each.format(port=port) for each in arguments)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, **listens) as process:
        served, _, rest = process.stdout.readline().partition(" at ")
        assert served == f"Serving {folder}"
        url = rest.split()[0]
        assert url.endswith(f":{port}")
        with urllib.request.urlopen(f"{url}/site/?%C3%BC", timeout=20) as response:
            assert response.read() == b"<p>home"
        assert re.match(r'\S+ - - \[.+\] "GET /site/\?%C3%BC HTTP/1.1" 200 7 ', process.stdout.readline())
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def test_number_alone_is_the_port_unless_it_is_a_folder(tmp_path, monkeypatch, capsys):
    served = []
    monkeypatch.setattr(
        ropewalk.Server, "serve_forever", lambda server: (served.append(server.address[1]), server.stop())
    )
    monkeypatch.chdir(tmp_path)
    port = free_port()
    assert main([str(port)]) == 0
    (tmp_path / "2024").mkdir()
    assert main(["2024", "--bind", "127.0.0.1:0"]) == 0
    assert served[0] == port
    assert capsys.readouterr().out.splitlines()[1].startswith(f"Serving {tmp_path}/2024 at ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nothing",), "folder='nothing': not a readable directory: no such file or directory"),
        ((".", "99999"), "bind='127.0.0.1:99999': "),
        ((".", "81", "--bind", "localhost:80"), "--bind='localhost:80': has a port, and 81 is another one"),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path, arguments, line):
    refused = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"python -m ropewalk.files: {line}")
    assert refused.stderr.count("\n") == 1


def test_lines_on_a_terminal_are_those_of_the_command(folder):
    port = free_port()
    running = OnTerminal([*COMMAND, str(folder), str(port)], cwd=folder, env=os.environ | {"PYTHONPATH": str(SERVER)})
    try:
        running.wait_text("until Ctrl-C")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/site/?%C3%BC", timeout=20):
            running.wait_text(r"\d\d:\d\d:\d\d 200 +\d+\.\d ms +7 B +GET /site/\?%C3%BC\n")
        running.press(CTRL_C)
        assert running.wait_exit() == 0
    finally:
        running.close()
