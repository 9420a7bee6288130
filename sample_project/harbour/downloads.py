"""Sends a stored file, or the range of bytes that was requested (RFC 9110, section 14).

Django handles conditions (If-None-Match, If-Modified-Since and so on) with `@condition` on the view. It has no support
for ranges.
"""

import io
import re
from typing import BinaryIO

from django.core.files.storage import Storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import parse_http_date_safe

# RFC 9110, section 14.1.2, for one range. A list of ranges does not match and gets the whole file, as section 14.2
# allows: multipart responses invite requests for thousands of overlapping ranges.
_ONE_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)


class RangeNotSatisfiableError(Exception):
    """The range begins at or after the end of the file."""


def requested_range(request: HttpRequest, size: int, etag: str, last_modified: int) -> tuple[int, int] | None:
    """The first and the last byte requested, both inclusive, or None for the whole file.

    `last_modified` is in seconds since the epoch. Raises RangeNotSatisfiableError.
    """
    if request.method != "GET" or not _if_range_holds(request, etag, last_modified):
        return None
    match = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None:
        return None
    if match[3] is not None:  # the last N bytes
        if int(match[3]) == 0 or size == 0:
            raise RangeNotSatisfiableError
        return max(0, size - int(match[3])), size - 1
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None  # an invalid range is ignored (section 14.1.1)
    if first >= size:
        raise RangeNotSatisfiableError
    return first, last


def _if_range_holds(request: HttpRequest, etag: str, last_modified: int) -> bool:
    """Section 13.1.5: the range applies only if the file has not changed since the client received a part of it."""
    condition = request.headers.get("If-Range")
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return condition == etag  # ours are strong, so a weak one never matches
    return parse_http_date_safe(condition) == last_modified


class _Part(io.RawIOBase):
    """A file of the next `length` bytes of `file`, from its current position.

    `fileno` is that of `file`, so that wsgi.file_wrapper can use sendfile. The server then starts at the position and
    stops at Content-Length, as PEP 3333 says. The file must be unbuffered, so that the position in Python is the
    descriptor's.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._end = file.tell() + length

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        remaining = max(0, self._end - self._file.tell())
        return self._file.read(remaining if size < 0 else min(size, remaining))

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


def stored_file_response(
    request: HttpRequest,
    storage: Storage,
    path: str,
    *,
    filename: str,
    size: int,
    etag: str,
    last_modified: int,
) -> HttpResponseBase:
    """200 with the whole file, 206 with a range of it, or 416. Raises FileNotFoundError."""
    try:
        part = requested_range(request, size, etag, last_modified)
    except RangeNotSatisfiableError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    file = open(storage.path(path), "rb", buffering=0)  # noqa: SIM115  the response closes it
    if part is None:
        response = FileResponse(file, as_attachment=True, filename=filename)
    else:
        first, last = part
        file.seek(first)
        response = FileResponse(_Part(file, last - first + 1), as_attachment=True, filename=filename, status=206)
        response.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        response.headers["Content-Length"] = str(last - first + 1)
    response.headers["Accept-Ranges"] = "bytes"
    # An uploaded file must not run as a page of this site.
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, no-cache"
    return response
