"""The environment of the project's processes, for those that the entrypoint did not start: `docker compose exec`.

kit_environment.pth in the image's site-packages loads this at the start of every Python interpreter, so it imports only
what the interpreter has loaded anyway. Isolated interpreters, which are the kit's own, are left alone.
"""

import os
import sys

PROJECT = "/kit/project.env"
SECRETS = ("SECRET_KEY", "DATABASE_URL")


def load(path: str = PROJECT) -> None:
    """Sets what is not set: the variables of the file, and secrets from the files that NAME_FILE names."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition("=")
        if name == "PYTHONPATH" and name not in os.environ:
            sys.path.extend(entry for entry in value.split(os.pathsep) if entry not in sys.path)
        os.environ.setdefault(name, value)
    for name in SECRETS:
        file_name = os.environ.get(f"{name}_FILE")
        if file_name and name not in os.environ:
            try:
                with open(file_name, encoding="utf-8") as file:
                    os.environ[name] = file.read().rstrip("\n")
            except OSError:
                continue  # the entrypoint reports it; a tool such as `python --version` works without
            del os.environ[f"{name}_FILE"]


if not sys.flags.isolated:
    load()
