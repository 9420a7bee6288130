"""Receives uploaded files: written to disk as they arrive, hashed on the way, limited in size."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.http import HttpRequest


class UploadRequest(HttpRequest):
    """A request whose files HashingUploadHandler has received."""

    too_large: str
    """The name of a file that was skipped because of its size; not set if there was none."""


class HashedFile(TemporaryUploadedFile):
    """A file that HashingUploadHandler has received."""

    sha256: str


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Writes each file to FILE_UPLOAD_TEMP_DIR. The finished file is a HashedFile.

    A file larger than MAX_UPLOAD_SIZE is skipped rather than answered with an error page: the rest of the form is kept,
    and the form can show the error beside its field.
    """

    request: UploadRequest
    file: HashedFile

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o750, parents=True, exist_ok=True)
        super().new_file(*args, **kwargs)
        self._hash = hashlib.sha256()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > settings.MAX_UPLOAD_SIZE:
            self.request.too_large = self.file_name or ""
            self.file.close()  # deletes it
            raise SkipFile
        self._hash.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> HashedFile:
        super().file_complete(file_size)
        self.file.sha256 = self._hash.hexdigest()
        return self.file
