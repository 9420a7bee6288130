"""Receives an uploaded file: straight to disk, hashed on the way, up to a size."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Writes each file to FILE_UPLOAD_TEMP_DIR; the finished file carries its `sha256`.

    A file above MAX_UPLOAD_SIZE is skipped, not refused with an error page: the rest of the form is kept,
    `request.too_large` names the file, and the form can say so where the person is looking.
    """

    def new_file(self, *args, **kwargs) -> None:
        Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(mode=0o750, parents=True, exist_ok=True)
        super().new_file(*args, **kwargs)
        self._hash = hashlib.sha256()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if start + len(raw_data) > settings.MAX_UPLOAD_SIZE:
            self.request.too_large = self.file_name
            self.file.close()  # and with that deleted
            raise SkipFile
        self._hash.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> TemporaryUploadedFile:
        file = super().file_complete(file_size)
        file.sha256 = self._hash.hexdigest()
        return file
