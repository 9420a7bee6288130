"""The Content-Type of a name."""

from __future__ import annotations

import pytest

from ropewalk.wsgi.static.media_types import MediaTypes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("css/base.5af66c1b1797.css", "text/css; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("APP.JS", "text/javascript; charset=utf-8"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
        ("photo.webp", "image/webp"),
        ("favicon.ico", "image/vnd.microsoft.icon"),
        ("font.woff2", "font/woff2"),
        ("site.webmanifest", "application/manifest+json"),
        ("data.json", "application/json"),
        ("app.js.map", "application/json"),
        ("module.wasm", "application/wasm"),
        ("base.css.gz", "application/gzip"),
        ("dump.tar.bz2", "application/x-bzip2"),
        ("base.css.br", "application/octet-stream"),
        ("LICENSE", "application/octet-stream"),
        ("x.unknownextension", "application/octet-stream"),
        ("data:text,x.html", "text/html; charset=utf-8"),
        ("http://x.example/y.html", "text/html; charset=utf-8"),
        ("a?b#c.html", "text/html; charset=utf-8"),
    ],
)
def test_type_by_extension(name: str, expected: str) -> None:
    assert MediaTypes().content_type(name) == expected
