"""Static and media files, which nginx serves where the project has them: with a real nginx and no container."""

import contextlib

import pytest

from tests.helpers.containers import wait_until
from tests.kit.test_nginx_requests import post, running_site

pytestmark = pytest.mark.nginx

MEDIA = {
    "photo.png": "image/png",
    "page.html": "text/html; charset=utf-8",
    "drawing.svg": "image/svg+xml",
    "feed.xml": "text/xml",
    "notes": "application/octet-stream",
}


@contextlib.contextmanager
def site_of(said, **variables):
    """A site whose release has written these lines, before it starts or, if it is watched, after."""
    with running_site(before=lambda folder: write(folder, said), **variables) as site:
        yield site


def write(folder, said):
    for name in ("assets", "media"):
        (folder / "srv" / name).mkdir(parents=True, exist_ok=True)
    new = folder / "srv/assets/.site.new"
    new.write_text(said)
    new.replace(folder / "srv/assets/.site")


def head_of(site, target):
    received = site.send(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:])


@pytest.fixture(scope="module")
def public():
    """A project with static files below /assets/v1/ and public media files below /files/."""
    with site_of("STATIC_URL=/assets/v1/\nMEDIA_URL=/files/\n") as site:
        (site.directory / "srv/assets/site.css").write_text("body {}")
        for name in (*MEDIA, ".hidden", "with space.txt"):
            (site.directory / "srv/media" / name).write_text("media")
        yield site


def test_static_files_are_where_the_project_has_them(public):
    assert public.get("Host: a", target="/assets/v1/site.css") == (200, [])
    # and nowhere else
    for target in ("/static/site.css", "/assets/site.css", "/assets/v1", "/assets/v1/nothing", "/site.css"):
        status, seen = public.get("Host: a", target=target)
        assert (status, [environ["PATH_INFO"] for environ in seen]) == (200, [target])


@pytest.mark.parametrize("name", MEDIA)
def test_media_file_is_sent_as_what_it_is_and_never_runs_as_a_page(public, name):
    status, headers = head_of(public, f"/files/{name}")
    assert public.take() == []
    assert (status, headers["content-type"]) == (200, MEDIA[name])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "sameorigin"
    assert headers["cache-control"] == "no-cache"
    assert headers.get("content-disposition") == ("attachment" if name[-4:] in ("html", ".svg", ".xml") else None)


def test_media_file_that_is_none_is_not_found_or_the_application_s(public):
    media = public.directory / "srv/media"
    (media / "folder").mkdir()
    (media / "key").symlink_to(public.directory / "srv/assets/site.css")
    assert public.get("Host: a", target="/files/with%20space.txt") == (200, [])
    for target in ("/files/.hidden", "/files/%2ehidden", "/files/folder/../.hidden", "/files/.git/config"):
        assert public.get("Host: a", target=target) == (404, []), target
    for target in (
        "/files/nothing",
        "/files/",
        "/files",
        "/files/folder",
        "/files/folder/",
        "/files/key",
        "/filesphoto.png",
    ):
        status, seen = public.get("Host: a", target=target)
        assert (status, len(seen)) == (200, 1), target
    assert public.get("Host: a", target="/files/%2e%2e/assets/site.css")[1] != []
    assert public.get("Host: a", target="/files../assets/site.css")[1] != []


@pytest.mark.parametrize(
    "said",
    [
        "MEDIA_URL=/\n",
        "MEDIA_URL=files/\n",
        "MEDIA_URL=/files\n",
        "MEDIA_URL=/files/;x/\n",
        "MEDIA_URL=/a b/\n",
        "MEDIA_URL=/files/../\n",
        "MEDIA_URL=/.files/\n",
        "MEDIA_URL=//files/\n",
        "MEDIA_URL=/_media/\n",
        "MEDIA_URL=/_media/x/\n",
        "MEDIA_URL=/_errors/\n",
        "MEDIA_URL=/static/\n",
        "MEDIA_URL=https://cdn.example/files/\n",
        "MEDIA_URL=${x}\nSTATIC_URL=\nOTHER=/files/\n",
        "STATIC_URL=/\n",
        "STATIC_URL=https://cdn.example/static/\n",
        "\n\x00\n====\n",
        "",
    ],
)
def test_url_that_nginx_cannot_serve_is_the_application_s(said):
    with site_of(said) as site:
        (site.directory / "srv/media/a.txt").write_text("media")
        for target in ("/files/a.txt", "/static/a.txt", "/a.txt", "/_media/a.txt"):
            status, seen = site.get("Host: a", target=target)
            assert (status, len(seen)) == ((404, 0) if target == "/_media/a.txt" else (200, 1)), target


def test_variables_take_precedence_over_the_project():
    with site_of("STATIC_URL=/assets/\nMEDIA_URL=/files/\n", STATIC_URL="/own/", MEDIA="off") as site:
        (site.directory / "srv/assets/a.txt").write_text("static")
        (site.directory / "srv/media/a.txt").write_text("media")
        assert site.get("Host: a", target="/own/a.txt") == (200, [])
        for target in ("/assets/a.txt", "/files/a.txt"):
            assert len(site.get("Host: a", target=target)[1]) == 1


def test_path_for_uploads_may_be_the_one_of_the_media_files():
    limits = {"MAX_BODY_SIZE": "1000", "UPLOAD_SIZE": "2000", "UPLOAD_PATHS": "/files /files/new"}
    with site_of("MEDIA_URL=/files/\n", **limits) as site:
        (site.directory / "srv/media/a.txt").write_text("media")
        assert site.get("Host: a", target="/files/a.txt") == (200, [])
        for path, most in (("/files", 2000), ("/files/", 2000), ("/files/b", 2000), ("/files/new", 2000), ("/b", 1000)):
            assert site.send(post(path, most)).startswith(b"HTTP/1.1 200 "), path
            assert site.send(post(path, most + 1)).startswith(b"HTTP/1.1 413 "), path


def test_urls_of_a_new_release_are_followed_without_a_restart():
    with site_of("STATIC_URL=/static/\n", is_watched=True, WATCH_INTERVAL="1") as site:
        (site.directory / "srv/assets/a.txt").write_text("static")
        (site.directory / "srv/media/b.txt").write_text("media")
        assert site.get("Host: a", target="/static/a.txt") == (200, [])

        def is_served(target):
            return site.get("Host: a", target=target) == (200, [])

        def count(line):
            return (site.directory / "output").read_text().count(line)

        # after a reload, the worker of before may still accept connections for a moment
        write(site.directory, "STATIC_URL=/assets/\nMEDIA_URL=/files/\n")
        wait_until(lambda: is_served("/assets/a.txt") and is_served("/files/b.txt"), "nginx follows the release")
        wait_until(lambda: not is_served("/static/a.txt"), "the worker of before has ended")
        wait_until(lambda: count("watch-upstream: files are now served below: /assets/ /files/\n"), "the log says so")
        # what cannot be served is said once a release, however often watch-upstream looks
        refused = "the project has its media files below"
        write(site.directory, "STATIC_URL=/assets/\nMEDIA_URL=/fi les/\n")
        wait_until(lambda: count(refused), "the log says what cannot be served")
        wait_until(lambda: not is_served("/files/b.txt"), "nginx follows the release")
        write(site.directory, "STATIC_URL=/static/\nMEDIA_URL=/fi les/\n")
        wait_until(lambda: is_served("/static/a.txt"), "nginx follows the release")
        assert count(refused) == 2


@pytest.fixture(scope="module")
def files():
    """A site with one file of ten octets below /static/, under a name with a hash and without, and below /media/."""
    with site_of("STATIC_URL=/static/\nMEDIA_URL=/media/\n") as site:
        for path in ("assets/a.txt", "assets/a.0123456789ab.txt", "media/a.txt"):
            (site.directory / "srv" / path).write_text("0123456789")
        yield site


def part_of(site, target, *fields):
    """The status, the field lines and the content of the response to a GET."""
    head = "".join(f"{field}\r\n" for field in ("Host: a", *fields, "Connection: close"))
    received = site.send(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()).decode()
    head, _, content = received.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    return int(status.split()[1]), [tuple(line.split(": ", 1)) for line in lines], content


TARGETS = ["/static/a.txt", "/static/a.0123456789ab.txt", "/media/a.txt"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("wanted", "span", "content"),
    [("0-2", "0-2", "012"), ("7-", "7-9", "789"), ("-1", "9-9", "9"), ("8-99", "8-9", "89")],
)
def test_part_of_a_file_is_sent(files, target, wanted, span, content):
    status, fields, sent = part_of(files, target, f"Range: bytes={wanted}")
    assert (status, sent) == (206, content)
    assert ("Content-Range", f"bytes {span}/10") in fields


@pytest.mark.parametrize("target", TARGETS)
def test_several_parts_are_sent_as_long_as_they_are_less_than_the_file(files, target):
    status, fields, sent = part_of(files, target, "Range: bytes=0-0,8-9")
    boundary = dict(fields)["Content-Type"].removeprefix("multipart/byteranges; boundary=")
    parts = [part.partition("\r\n\r\n")[2].rstrip("\r\n") for part in sent.split(f"--{boundary}")[1:-1]]
    assert (status, parts) == (206, ["0", "89"])
    # many small requests for much in one
    status, fields, sent = part_of(files, target, f"Range: bytes={','.join(['0-'] * 500)}")
    assert (status, sent) == (200, "0123456789")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("wanted", ["10-", "99-100", "-0", "5-2"])
def test_part_that_a_file_does_not_have_is_refused_and_no_cache_keeps_that(files, target, wanted):
    status, fields, _ = part_of(files, target, f"Range: bytes={wanted}")
    assert status == 416
    assert ("Content-Range", "bytes */10") in fields
    assert [value for name, value in fields if name == "Cache-Control"] == ["no-cache"]


def test_range_counts_only_for_the_file_that_the_client_has(files):
    entity = dict(part_of(files, TARGETS[0])[1])["ETag"]
    assert part_of(files, TARGETS[0], "Range: bytes=0-1", f"If-Range: {entity}")[::2] == (206, "01")
    assert part_of(files, TARGETS[0], "Range: bytes=0-1", 'If-Range: "other"')[::2] == (200, "0123456789")
    assert part_of(files, TARGETS[0], "Range: pages=0-1")[::2] == (200, "0123456789")


def test_whole_file_whose_name_has_a_hash_is_kept_for_a_year(files):
    kept = [dict(part_of(files, target)[1])["Cache-Control"] for target in TARGETS]
    assert kept == ["no-cache", "public, max-age=31536000, immutable", "no-cache"]
