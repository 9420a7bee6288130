"""The application that `make dev` serves: the project's, with what its framework's own server would add.

Django's static files come from the folders of the source. Flask's and other applications get Werkzeug's debugger, if it
is installed, or else a page with the traceback.
"""

import os
from typing import Any

import debug_page
from ropewalk.wsgi.loader import load_application


def wrapped(application: Any) -> Any:
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        return _with_files_of_django(application)
    try:
        from werkzeug.debug import DebuggedApplication
    except ImportError:
        return debug_page.DebugPage(application)
    if hasattr(application, "debug"):
        application.debug = True  # Flask then passes exceptions on
    debugger = DebuggedApplication(application, evalex=True)
    debugger.trusted_hosts = [*getattr(debugger, "trusted_hosts", []), "localhost", "127.0.0.1"]
    return debugger


def _with_files_of_django(application: Any) -> Any:
    from django.conf import settings

    if "django.contrib.staticfiles" in settings.INSTALLED_APPS:
        from django.contrib.staticfiles.handlers import StaticFilesHandler

        return StaticFilesHandler(application)
    return application


application = wrapped(load_application(os.environ["WSGI_APP"]))
