"""The page of the documentation that lists every setting: `python -m ropewalk.config.generate_docs` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby

from ropewalk.config.flags import shown_default
from ropewalk.config.settings import all_settings
from ropewalk.config.table import Setting

HEAD = """\
# Settings

<!-- Written by `python -m ropewalk.config.generate_docs`; change server/ropewalk/config/settings.py instead. -->

    ropewalk [OPTIONS] MODULE:CALLABLE

Each setting can be said in four places. An option on the command line goes over a variable of the environment,
that over the file that `--config` names, and that over the default.

- **Options** carry gunicorn's names wherever gunicorn has one of the same meaning.
- **Variables** are the option's name in capitals: `--keep-alive` is `ROPEWALK_KEEP_ALIVE`. An empty variable counts
  as not set, unless empty means something to the setting.
- **A `.toml` file** has the options' names as its keys, with dashes or underscores: `keep-alive = 75`.
- **A `.py` file** is run, and its names are read: gunicorn's, so a `gunicorn.conf.py` can be kept, with its
  [hooks](hooks.md). What it holds that has no effect here is named in a warning.

A bad value stops the start: exit status 2, and one line that names the setting, the value, where it came from and
what is allowed. `ropewalk --print-config` prints every effective value with its origin; `ropewalk --check-config
MODULE:CALLABLE` loads the application too and says whether it could be served.

Times are in seconds, sizes in bytes; a size may be written with k, M or G (`512k`, `20M`, `1G`).
"""


def document() -> str:
    """The page, as Markdown."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for section, settings in groupby(all_settings(), key=lambda setting: setting.declaration.section):
        yield f"## {section}\n"
        yield "| option | default | what it does | variable | `.toml` | `.py` |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for setting in settings:
            yield _row(setting)
        yield ""


def _row(setting: Setting) -> str:
    declaration = setting.declaration
    flags = ", ".join(declaration.flags) or declaration.metavar
    option = f"{flags} {declaration.metavar}" if declaration.flags and declaration.metavar else flags
    what = declaration.help[0].upper() + declaration.help[1:] + "."
    if declaration.is_repeatable:
        what += " Can be given more than once."
    if declaration.reason:
        what += f" Why: {declaration.reason}"
    from_files = not declaration.is_flag_only and setting.name != "config"
    cells = (
        _code(option),
        _code(shown_default(setting)),
        _escape(what),
        " ".join(map(_code, setting.variables)),
        _code(setting.key) if from_files else "",
        _code(setting.python_key) if from_files else "",
    )
    return "| " + " | ".join(cells) + " |"


def _code(text: str) -> str:
    return f"`{_escape(text)}`" if text else ""


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
