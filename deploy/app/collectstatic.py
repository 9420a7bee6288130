"""Collects a Django project's static files. `manage.py shell --command` runs it, in the image and for `make run`.

Prints their folder after the mark of ask_project.py: the project's STATIC_ROOT, or the environment's if the project has
none. Prints nothing if the project does not use django.contrib.staticfiles.

A project may bring files in its STATIC_ROOT whose sources are elsewhere, such as what a build of its frontend wrote.
Django writes the whole manifest of hashed names again, so these files would be in the folder and not in the manifest.

With COMPRESS_OFFLINE, django-compressor's files for the templates are made here too: without its manifest, every page
that has some is an error.
"""

import os
import sys
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command

if apps.is_installed("django.contrib.staticfiles"):
    settings.STATIC_ROOT = settings.STATIC_ROOT or os.environ["STATIC_ROOT"]
    storage: Any = staticfiles_storage  # of any class; one with hashed names has `hashed_files` and `save_manifest`
    known = dict(getattr(storage, "hashed_files", None) or {})
    call_command("collectstatic", stdout=sys.stderr, verbosity=1, interactive=False, skip_checks=False)
    hashed = getattr(storage, "hashed_files", {})
    brought = {name: file for name, file in known.items() if name not in hashed and storage.exists(file)}
    if brought:
        hashed.update(brought)
        storage.save_manifest()
    if apps.is_installed("compressor") and getattr(settings, "COMPRESS_OFFLINE", False):
        # as on the site: DEBUG may be on while the image is built, and changes what the tags render
        settings.DEBUG = False
        settings.COMPRESS_ENABLED = True
        call_command("compress", stdout=sys.stderr, force=True)
    print(f"\n\x1eanswer:{settings.STATIC_ROOT}", flush=True)
