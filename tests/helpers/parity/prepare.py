"""Run by itself, in a process of its own: makes the data that every backend begins with, in DATA_DIR.

Everything in it is of the year 2020, so that what a test makes can be recognized by its date.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

YEAR = 2020
PAPER = uuid.UUID("0c0ffee0-1234-4abc-8def-000000000001")
PAPER_PATH = f"/papers/{PAPER}"
PAPER_CONTENT = b"".join(b"%06d three strands make a rope\n" % line for line in range(9000))  # 318 kB
PAPER_ETAG = f'"{hashlib.sha256(PAPER_CONTENT).hexdigest()[:32]}"'
PAPER_DATE = datetime(YEAR, 6, 1, 12, 30, tzinfo=UTC)
PASSWORD = "hemp-and-tar-9"


def prepare() -> None:
    import django
    from django.conf import settings

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from harbour.models import Entry, Paper

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    sailor = User.objects.create_user("sailor", password=PASSWORD)
    User.objects.create_superuser("master", password=PASSWORD)
    User.objects.update(date_joined=PAPER_DATE)
    Entry.objects.all().delete()
    for number in range(1, 13):
        entry = Entry.objects.create(
            pk=number, kind="notice", vessel=f"Boat {number} of Åhus", text="“Tarred” & <ready>.", signed="Ek"
        )
        Entry.objects.filter(pk=entry.pk).update(written_at=PAPER_DATE.replace(day=number))
    name = f"papers/{PAPER}.txt"
    path = Path(settings.MEDIA_ROOT, name)
    path.parent.mkdir(parents=True)
    path.write_bytes(PAPER_CONTENT)
    Paper.objects.create(
        pk=PAPER,
        title="Strands",
        file=name,
        name="stränds.txt",
        size=len(PAPER_CONTENT),
        sha256=hashlib.sha256(PAPER_CONTENT).hexdigest(),
        keeper=sailor,
    )
    Paper.objects.update(kept_at=PAPER_DATE)
    shutil.rmtree(settings.FILE_UPLOAD_TEMP_DIR)


if __name__ == "__main__":
    prepare()
