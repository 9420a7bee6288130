"""Replaces the server, as daphne's command does."""

from django.contrib.staticfiles.management.commands import runserver
from django.core.servers import basehttp


class OtherServer(basehttp.WSGIServer):
    """Not Django's, and not ours."""


class Command(runserver.Command):
    server_cls = OtherServer

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--of-the-other")

    def inner_run(self, *arguments, **options):
        self.stdout.write("the other server")
        super().inner_run(*arguments, **options)
