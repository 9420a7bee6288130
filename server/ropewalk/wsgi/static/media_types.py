"""The Content-Type of a file by its name, the same on each machine and each version of Python."""

from __future__ import annotations

from mimetypes import MimeTypes as KnownTypes
from typing import Final

__all__ = ["MediaTypes"]

UNKNOWN: Final = "application/octet-stream"

# Types that some Python from 3.11 on lacks or has otherwise, as registered with IANA.
_TYPES: Final = {
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}

# A compressed file requested by its own name is sent as what it is, not as what is in it.
_COMPRESSED: Final = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": UNKNOWN,
}


class MediaTypes:
    """Guesses by the extension alone, without the tables of the machine: so that a container responds as the
    developer's machine does."""

    def __init__(self) -> None:
        self._known = KnownTypes()
        for extension, media_type in _TYPES.items():
            self._known.add_type(media_type, extension)

    def content_type(self, name: str) -> str:
        """The Content-Type for a file name. Text is UTF-8, since a browser guesses without a charset."""
        # guess_type takes a URL: a name with a colon would lose its beginning, and "data:" has a meaning of its own.
        media_type, coding = self._known.guess_type("/" + name.rpartition("/")[2])
        if coding is not None:
            return _COMPRESSED.get(coding, UNKNOWN)
        if media_type is None:
            return UNKNOWN
        return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
