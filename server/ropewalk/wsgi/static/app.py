"""Static files for `--static PREFIX=DIR`: a WSGI middleware with validators for caches and strict checks of paths.

It responds to GET and HEAD for regular files in its directories, and passes all other requests to the application. Runs
in any thread. RFC 9110 sections 8 (representations), 13 (conditional requests) and 14 (ranges); PEP 3333.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment
from wsgiref.util import FileWrapper as PlainWrapper

from ropewalk.errors import ConfigError
from ropewalk.http.codings import acceptable_codings
from ropewalk.http.preconditions import Validators, Verdict, evaluate_preconditions, if_range_holds
from ropewalk.http.ranges import ByteRange, Unsatisfiable, select_range
from ropewalk.interruptions import uninterrupted
from ropewalk.wsgi.file_wrapper import FileWrapper
from ropewalk.wsgi.static.directory import Directory, File
from ropewalk.wsgi.static.media_types import MediaTypes

__all__ = ["StaticFiles"]

IMMUTABLE: Final = "public, max-age=31536000, immutable"
"""For a name that changes with the content: caches take a year to mean that it never changes."""

REVALIDATE: Final = "no-cache"
"""For any other name: cached, but revalidated each time, so that a new deployment shows at once."""

_HASHED_NAME = re.compile(rb"[^/]\.[0-9a-f]{12}(?:\.[^./]+)*\Z")
"""A name from Django's ManifestStaticFilesStorage: twelve hex digits before the extension."""

CODINGS: Final = {"br": b".br", "gzip": b".gz"}
"""Content codings whose files may be next to the plain one, in the order of preference."""

SETTLED_SECONDS: Final = 2
"""A modification time in seconds identifies the content only once its second is over (RFC 9110 section 8.8.2.2).
One more, because the clock of a file system may lag by a tick."""

BLOCK_BYTES: Final = 64 * 1024
"""Read at once by a server without `wsgi.file_wrapper`."""


class StaticFiles:
    """An application with directories of files in front of it."""

    def __init__(self, application: WSGIApplication, mounts: Mapping[str, str]) -> None:
        """`mounts` maps prefixes of the path ("/static/") to directories.

        Raises ConfigError for a prefix that does not begin with a slash, and for a directory that does not exist.
        """
        self._application = application
        self._media_types = MediaTypes()
        found = [(_prefix(prefix), _directory(prefix, path)) for prefix, path in mounts.items()]
        self._mounts = sorted(found, key=lambda mount: -len(mount[0]))  # /static/admin/ before /static/

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            with uninterrupted:  # while a descriptor is open that no object closes
                response = self._serve(environ, start_response)
            if response is not None:
                return response
        return self._application(environ, start_response)

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes] | None:
        representation = self._find(environ)
        if representation is None:
            return None
        try:
            response = _respond(representation, environ)
            start_response(response.status, response.headers)
            if response.part is None or environ["REQUEST_METHOD"] == "HEAD":
                representation.file.close()
                return [response.text] if response.text and environ["REQUEST_METHOD"] != "HEAD" else []
        except BaseException:
            representation.file.close()
            raise
        return _send(representation.file, response.part, environ.get("wsgi.file_wrapper", PlainWrapper))

    def _find(self, environ: WSGIEnvironment) -> _Representation | None:
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1")
        except UnicodeEncodeError:  # not as in PEP 3333, so not from a client
            return None
        for prefix, directory in self._mounts:
            if path.startswith(prefix):
                name = path[len(prefix) :]
                plain = directory.open(name)
                if plain is not None:
                    return self._select(directory, name, plain, environ.get("HTTP_ACCEPT_ENCODING", ""))
        return None

    def _select(self, directory: Directory, name: bytes, plain: File, accepted: str) -> _Representation:
        """Select the plain file, or a compressed one next to it (RFC 9110 section 12.1, proactive negotiation)."""
        try:
            siblings = [coding for coding, suffix in CODINGS.items() if directory.has(name + suffix)]
            representation = _Representation(
                plain,
                content_type=self._media_types.content_type(os.fsdecode(name)),
                content_coding="",
                cache_control=IMMUTABLE if _HASHED_NAME.search(name) else REVALIDATE,
                varies=bool(siblings),
            )
            for coding in acceptable_codings(accepted, siblings):
                sibling = directory.open(name + CODINGS[coding])
                if sibling is None:
                    continue
                if sibling.modified >= plain.modified:
                    plain.close()
                    return replace(representation, file=sibling, content_coding=coding)
                sibling.close()  # of an older version of the file
        except BaseException:
            plain.close()
            raise
        return representation


def _prefix(prefix: str) -> bytes:
    if not prefix.startswith("/"):
        raise ConfigError("static", prefix, "the prefix must begin with a slash: /static/=DIR")
    return os.fsencode(prefix if prefix.endswith("/") else f"{prefix}/")


def _directory(prefix: str, path: str) -> Directory:
    try:
        return Directory(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError("static", f"{prefix}={path}", f"not a readable directory: {reason}") from error


@dataclass(frozen=True, slots=True)
class _Representation:
    """The selected representation (RFC 9110 section 3.2): an open file and its metadata."""

    file: File
    content_type: str
    content_coding: str
    cache_control: str
    varies: bool

    def validators(self) -> Validators:
        coding = f"-{self.content_coding}" if self.content_coding else ""
        is_settled = self.file.modified + SETTLED_SECONDS <= time.time()
        return Validators(
            entity_tag=f'"{self.file.modified_ns:x}-{self.file.size:x}{coding}"',
            last_modified=self.file.modified if is_settled else None,
        )


@dataclass(frozen=True, slots=True)
class _Response:
    """A status and headers, with a part of the file (or all of it), or a text, or nothing."""

    status: str
    headers: list[tuple[str, str]]
    part: ByteRange | None = None
    text: bytes = b""


def _respond(representation: _Representation, environ: WSGIEnvironment) -> _Response:
    """Evaluate the request in the order of RFC 9110 section 13.2.2."""
    current = representation.validators()
    verdict = evaluate_preconditions(
        current,
        if_match=environ.get("HTTP_IF_MATCH"),
        if_unmodified_since=environ.get("HTTP_IF_UNMODIFIED_SINCE"),
        if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
        if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE"),
    )
    if verdict is Verdict.FAILED:
        return _error("412 Precondition Failed", [])
    headers = [("ETag", current.entity_tag), ("Cache-Control", representation.cache_control)]
    if representation.varies:
        headers.append(("Vary", "Accept-Encoding"))
    if verdict is Verdict.NOT_MODIFIED:
        return _Response("304 Not Modified", headers)
    size = representation.file.size
    part = _requested_range(environ, current, size)
    if isinstance(part, Unsatisfiable):
        return _error("416 Range Not Satisfiable", [("Content-Range", f"bytes */{size}")])
    headers += _description(representation, current)
    if part is not None:
        headers += [("Content-Length", str(part.length)), ("Content-Range", part.content_range)]
        return _Response("206 Partial Content", headers, part)
    headers.append(("Content-Length", str(size)))
    return _Response("200 OK", headers, ByteRange(0, size, size))


def _requested_range(environ: WSGIEnvironment, current: Validators, size: int) -> ByteRange | Unsatisfiable | None:
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_RANGE" not in environ:
        return None  # section 14.2: Range is defined for GET only
    if_range = environ.get("HTTP_IF_RANGE")
    if if_range is not None and not if_range_holds(if_range, current):
        return None
    return select_range(environ["HTTP_RANGE"], size)


def _description(representation: _Representation, current: Validators) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", representation.content_type),
        ("X-Content-Type-Options", "nosniff"),
        ("Accept-Ranges", "bytes"),
    ]
    if representation.content_coding:
        headers.append(("Content-Encoding", representation.content_coding))
    if current.last_modified is not None:
        headers.append(("Last-Modified", formatdate(current.last_modified, usegmt=True)))
    return headers


def _error(status: str, headers: list[tuple[str, str]]) -> _Response:
    text = f"{status}\n".encode()
    described = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
    return _Response(status, headers + described, text=text)


def _send(file: File, part: ByteRange, file_wrapper: Callable[..., Iterable[bytes]]) -> Iterable[bytes]:
    """The content. Ropewalk sends a plain file by sendfile(2), and no more of it than Content-Length; for another
    server the file ends where the part ends."""
    readable = io.FileIO(file.descriptor, "rb") if file_wrapper is FileWrapper else _Part(file.descriptor, part.length)
    try:
        readable.seek(part.first)
        return file_wrapper(readable, BLOCK_BYTES)
    except BaseException:
        readable.close()
        raise


class _Part(io.FileIO):
    """An open file that ends where the part ends."""

    def __init__(self, descriptor: int, length: int) -> None:
        super().__init__(descriptor, "rb")
        self._remaining = length

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = self._remaining if size is None or size < 0 else min(size, self._remaining)
        data = super().read(wanted) or b""
        self._remaining -= len(data)
        return data
