"""The application for INSTALLED_APPS."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.core import checks

STATIC_FILES = "django.contrib.staticfiles"


class RopewalkConfig(AppConfig):
    """Adds the command `runserver`."""

    name = "ropewalk.django"
    label = "ropewalk"  # the last part of the name, "django", says nothing in Django's messages
    verbose_name = "Ropewalk"

    def ready(self) -> None:
        checks.register(check_order)


def check_order(app_configs: object, **_: Any) -> list[checks.CheckMessage]:
    """A warning if the command of staticfiles, which comes first then, is the one that runs."""
    names = [config.name for config in apps.get_app_configs()]
    if STATIC_FILES not in names or names.index(STATIC_FILES) > names.index(RopewalkConfig.name):
        return []
    what = f"{RopewalkConfig.name!r} is after {STATIC_FILES!r} in INSTALLED_APPS, so that runserver is Django's."
    return [checks.Warning(what, hint=f"Put it before {STATIC_FILES!r}.", id="ropewalk.W001")]
