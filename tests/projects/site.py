"""A running project, as a browser meets it: its page, its stylesheet, its form, its uploads."""

import re
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT = 30
"""Seconds for one response."""


class ProjectError(Exception):
    """What does not work, in one line; `log` has the lines of the command that failed."""

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(text)
        self.log = log


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    media_type: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass(frozen=True, slots=True)
class Written:
    """What has to be there again after a restart."""

    rows: int
    uploads: Mapping[str, bytes] = field(default_factory=dict)
    """By the path that the page links."""


class Site:
    def __init__(self, address: str, *, is_behind_https: bool = False) -> None:
        """`is_behind_https`: send what a proxy sends for a request that came over HTTPS."""
        self.address = address
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the kit's own certificate
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(),
        )
        secure = address.replace("http://", "https://") if is_behind_https else address
        # Django compares the referer of a form that comes over HTTPS
        self._opener.addheaders = [("Referer", f"{secure}/")]
        if is_behind_https:
            self._opener.addheaders.append(("X-Forwarded-Proto", "https"))

    def fetch(self, target: str, content: bytes | None = None, media_type: str = "") -> Response:
        """Follows redirects. Raises OSError if nothing answers."""
        headers = {"Content-Type": media_type} if media_type else {}
        request = urllib.request.Request(urllib.parse.urljoin(f"{self.address}/", target), content, headers)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return Response(response.status, response.headers.get_content_type(), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.headers.get_content_type(), error.read())

    def page(self) -> Response:
        page = self.fetch("/")
        _require(page.status == 200, f"/: status {page.status}")
        return page

    def is_up(self) -> bool:
        try:
            return self.fetch("/").status > 0
        except OSError:
            return False


def _require(condition: object, text: str) -> None:
    if not condition:
        raise ProjectError(text)


def rows_of(page: Response) -> int:
    found = re.search(r"rows: (\d+)", page.text)
    _require(found, "/: has no `rows: N`")
    assert found
    return int(found[1])


def check_stylesheet(site: Site, folder: Path) -> None:
    link = re.search(r'<link rel="stylesheet" href="([^"]+)">', site.page().text)
    _require(link, "/: links no stylesheet")
    assert link
    sheet = site.fetch(link[1])
    _require(sheet.status == 200, f"{link[1]}: status {sheet.status}")
    _require(sheet.media_type == "text/css", f"{link[1]}: {sheet.media_type}")
    (source,) = folder.rglob("site.css")
    _require(sheet.content == source.read_bytes(), f"{link[1]}: has another content")


def add_row(site: Site, *, has_uploads: bool) -> Written:
    """Sends the form, and returns what the page shows then."""
    before = site.page()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', before.text)
    fields = {"text": secrets.token_hex(8), **({"csrfmiddlewaretoken": token[1]} if token else {})}
    upload = secrets.token_bytes(3000) if has_uploads else None
    done = site.fetch("/add", *_form(fields, upload))
    _require(done.status == 200, f"POST /add: status {done.status}")
    after = site.page()
    _require(rows_of(after) == rows_of(before) + 1, f"POST /add: {rows_of(before)} rows, then {rows_of(after)}")
    if upload is None:
        return Written(rows_of(after))
    links = re.findall(r'class="upload" href="([^"]+)"', after.text)
    uploads = {link: site.fetch(link) for link in links}
    wrong = [f"{link}: status {response.status}" for link, response in uploads.items() if response.status != 200]
    _require(not wrong, "; ".join(wrong))
    _require(upload in [response.content for response in uploads.values()], "the upload is not among the links")
    return Written(rows_of(after), {link: response.content for link, response in uploads.items()})


def check_kept(site: Site, written: Written) -> None:
    rows = rows_of(site.page())
    _require(rows == written.rows, f"{written.rows} rows before the restart, {rows} after it")
    for link, content in written.uploads.items():
        response = site.fetch(link)
        _require(
            (response.status, response.content) == (200, content), f"{link}: status {response.status} after a restart"
        )


def _form(fields: Mapping[str, str], upload: bytes | None) -> tuple[bytes, str]:
    """The content and its media type."""
    if upload is None:
        return urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts.append(f'{head}"file"; filename="{secrets.token_hex(4)}.bin"\r\n\r\n'.encode() + upload + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
