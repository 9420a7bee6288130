"""`manage.py runserver`: Django's command, or that of the next application which extends it, with another server."""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.management import find_commands
from django.core.management.base import CommandError
from django.core.management.commands import runserver

from ropewalk.config.settings import make_settings
from ropewalk.dev.certificate import adhoc_certificate, share_adhoc_certificate
from ropewalk.django.server import WSGIServer
from ropewalk.errors import ConfigError
from ropewalk.runtime.factories import tls_context

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from ropewalk.net.tls import TlsContext

APPLICATION = "ropewalk.django"


def next_command() -> type[runserver.Command]:
    """The command that this one extends: of an application after this one in INSTALLED_APPS, such as staticfiles.

    One with another server, as daphne's, is passed over.
    """
    configs = list(apps.get_app_configs())
    names = [config.name for config in configs]
    for config in configs[names.index(APPLICATION) + 1 :] if APPLICATION in names else ():
        if "runserver" in find_commands(os.path.join(config.path, "management")):
            command: type[runserver.Command] = import_module(f"{config.name}.management.commands.runserver").Command
            if getattr(command, "server_cls", None) is runserver.Command.server_cls:
                return command
    return runserver.Command


if TYPE_CHECKING:
    NextCommand = runserver.Command
else:
    NextCommand = next_command()


class Command(NextCommand):
    """Adds HTTPS to the command that it extends."""

    server_cls = WSGIServer  # type: ignore[assignment]  # what Django uses of its own, this has
    addr: str

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--https", action="store_true", help="Serves HTTPS with a certificate made for it.")
        parser.add_argument("--certfile", default="", help="Serves HTTPS with this certificate chain (PEM).")
        parser.add_argument("--keyfile", default="", help="The certificate's key, if it is in another file.")

    def run(self, **options: Any) -> None:
        """Serve, reloading as Django does. Raises CommandError for a certificate that cannot be used."""
        try:
            tls = self._tls(**options)
        except ConfigError as error:
            raise CommandError(str(error)) from None
        if tls is not None:
            self.protocol = "https"
            self.server_cls = type("WSGIServer", (self.server_cls,), {"tls": tls})  # type: ignore[assignment]  # a subclass of it
        super().run(**options)

    def _tls(self, *, https: bool, certfile: str, keyfile: str, use_reloader: bool, **_: Any) -> TlsContext | None:
        with ExitStack() as stack:
            if https and not certfile:
                if use_reloader:
                    share_adhoc_certificate(self.addr)
                certfile = stack.enter_context(adhoc_certificate(self.addr))
            return tls_context(make_settings(certfile=certfile, keyfile=keyfile))
