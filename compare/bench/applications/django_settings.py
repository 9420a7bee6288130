"""The settings of the benchmark's Django applications: as few as a project has."""

from typing import Any

import django
from django.conf import settings


def configure(root_urlconf: str, **more: Any) -> None:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # every project has it; it sets Content-Length
        ROOT_URLCONF=root_urlconf,
        SECRET_KEY="only for the benchmark",
        **more,
    )
    django.setup()
