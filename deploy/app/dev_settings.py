"""What `make dev` changes in a project's own processes: DEBUG is on, and no mail leaves the machine.

kit_environment.py loads this at the start of each interpreter in the containers of `make dev`, and nowhere else. The
settings module of Django is changed right after it has been executed, so that everything that reads it sees the same.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

MAIL = ("mail", 1025)
"""The service that catches mails."""

Change = Callable[[Any], None]


class Finder(importlib.abc.MetaPathFinder):
    """Calls a function with a module after the module has been executed for the first time."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = self._changes.pop(fullname, None)  # once, so that the call below finds the others' spec
        if change is None:
            return None
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        original = spec.loader.exec_module

        def execute(module: ModuleType) -> None:
            original(module)
            change(module)

        spec.loader.exec_module = execute  # type: ignore[method-assign]  # for this module alone
        return spec


def change_settings(settings: Any) -> None:
    """Django's: also what a project has as a literal."""
    settings.DEBUG = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = MAIL
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    # the site is served without TLS
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    settings.SECURE_HSTS_SECONDS = 0


def catch_mails(smtplib: Any) -> None:
    """Whatever server a program names: Flask-Mail, and code of the project's own."""
    import socket

    def connect(self: Any, host: str, port: int, timeout: Any) -> socket.socket:
        return socket.create_connection(MAIL, timeout=10)

    def accept(self: Any, *arguments: Any, **options: Any) -> tuple[int, bytes]:
        return 235, b"accepted by make dev"

    for kind in (smtplib.SMTP, smtplib.SMTP_SSL):
        kind._get_socket = connect
        kind.login = kind.starttls = accept


def install(environment: Any = os.environ) -> None:
    changes: dict[str, Change] = {"smtplib": catch_mails}
    if name := environment.get("DJANGO_SETTINGS_MODULE"):
        changes[name] = change_settings
    if (loaded := sys.modules.get("smtplib")) is not None:
        changes.pop("smtplib")(loaded)
    sys.meta_path.insert(0, Finder(changes))
