"""Runs tests of Django's own suite: `python -m tests.helpers.django_suite FOLDER django|ropewalk LABEL...`.

FOLDER is `tests` of a source distribution of the installed Django. With `ropewalk`, what the suite imports as Django's
servers, live servers and `runserver` is ours.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import Any

import django
from django.core.management.commands import runserver
from django.core.servers import basehttp
from django.test import testcases

from ropewalk.django import server


def use_ropewalk() -> None:
    """Exchange the classes before the suite imports them; the command, which needs the applications, after these."""
    names: dict[Any, dict[str, Any]] = {
        basehttp: {"WSGIServer": server.WSGIServer, "ThreadedWSGIServer": server.ThreadedWSGIServer},
        testcases.LiveServerThread: {"server_class": server.ThreadedWSGIServer},
    }
    for owner, replaced in names.items():
        for name, value in replaced.items():
            setattr(owner, name, value)
    set_up = django.setup

    def set_up_and_use_command(*arguments: Any, **options: Any) -> None:
        set_up(*arguments, **options)
        from ropewalk.django.management.commands.runserver import Command

        runserver.Command = Command  # type: ignore[misc]  # a type, to mypy

    django.setup = set_up_and_use_command


def main(folder: str, which: str, *labels: str) -> None:
    os.chdir(folder)
    sys.path.insert(0, os.getcwd())
    if which == "ropewalk":
        use_ropewalk()
    sys.argv = ["runtests.py", "--parallel=1", *labels]
    runpy.run_path("runtests.py", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
