"""Extends the command of the next application, as that of whitenoise.runserver_nostatic does."""

from importlib import import_module

from django.apps import apps


def next_command():
    names = [config.name for config in apps.get_app_configs()]
    for name in names[names.index("wrapper") + 1 :]:
        try:
            return import_module(f"{name}.management.commands.runserver").Command
        except ModuleNotFoundError:
            pass
    raise AssertionError("no application has a command")


class Command(next_command()):
    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.set_defaults(use_static_handler=False)

    def inner_run(self, *arguments, **options):
        self.stdout.write("wrapped")
        super().inner_run(*arguments, **options)
