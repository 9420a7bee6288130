import os

import django
import work
from django.db import close_old_connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.tasks import task  # noqa: E402 - Django's, which is set up now


@task()
def job(number, seconds):
    work.do(number, seconds)


def enqueue(number, seconds):
    try:
        job.enqueue(number, seconds)
    finally:
        close_old_connections()
