#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample_project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError as error:
        sys.exit(f"manage.py: Django cannot be imported ({error}): install requirements.txt first")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # For a wrong setting, one line is more helpful than a traceback.
        sys.exit(f"manage.py: {error}")


if __name__ == "__main__":
    main()
