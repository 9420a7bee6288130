"""Collects a Django project's static files. `manage.py shell --command` runs it, in the image and for `make run`.

Prints their folder after the mark of ask_project.py: the project's STATIC_ROOT, or the environment's if the project has
none. Prints nothing if the project does not use django.contrib.staticfiles.
"""

import os
import sys

from django.apps import apps
from django.conf import settings
from django.core.management import call_command

if apps.is_installed("django.contrib.staticfiles"):
    settings.STATIC_ROOT = settings.STATIC_ROOT or os.environ["STATIC_ROOT"]
    call_command("collectstatic", stdout=sys.stderr, verbosity=1, interactive=False, skip_checks=False)
    print(f"\n\x1eanswer:{settings.STATIC_ROOT}", flush=True)  # noqa: T201
