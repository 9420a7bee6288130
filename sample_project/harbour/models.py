"""The harbour's log, and the papers that its users upload."""

import uuid
from pathlib import PurePosixPath

from django.conf import settings
from django.db import models
from django.urls import reverse


class Entry(models.Model):
    """An entry in the log. Anyone may write one; `author` is set if the writer is logged in."""

    class Kind(models.TextChoices):
        ARRIVAL = "arrival", "Arrival"
        DEPARTURE = "departure", "Departure"
        NOTICE = "notice", "Notice"

    kind = models.CharField(max_length=16, choices=Kind, default=Kind.ARRIVAL)
    vessel = models.CharField(max_length=80)
    text = models.TextField("what happened", max_length=1000)
    signed = models.CharField("signed by", max_length=60)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="entries"
    )
    written_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-written_at", "-pk"]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.vessel}"


def paper_path(paper: "Paper", filename: str) -> str:
    """Where a paper is stored: under its key, since names from clients are neither safe nor unique."""
    suffix = PurePosixPath(filename).suffix.lower()
    return f"papers/{paper.pk}{suffix if suffix[1:].isalnum() and suffix.isascii() else ''}"


class Paper(models.Model):
    """A file that a user uploaded."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=120)
    file = models.FileField(upload_to=paper_path)
    name = models.CharField("file name", max_length=200)
    size = models.PositiveBigIntegerField("size in bytes")
    sha256 = models.CharField("SHA-256", max_length=64)
    keeper = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="papers"
    )
    kept_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-kept_at", "pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("paper", args=[self.pk])

    @property
    def etag(self) -> str:
        return f'"{self.sha256[:32]}"'
