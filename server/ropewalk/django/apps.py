"""The application for INSTALLED_APPS."""

from django.apps import AppConfig


class RopewalkConfig(AppConfig):
    """Adds the command `runserver`."""

    name = "ropewalk.django"
    label = "ropewalk"  # the last part of the name, "django", says nothing in Django's messages
    verbose_name = "Ropewalk"
