"""Settings: one table, from which flags, variables, file keys, defaults, help and documentation come.

`Settings` is the value that the server reads; `make_settings` makes one in a program that embeds the server;
`load_settings` makes one for the command line.
"""

from __future__ import annotations

from ropewalk.config.load import Loaded, load_settings, make_settings
from ropewalk.config.settings import Settings

__all__ = ["Loaded", "Settings", "load_settings", "make_settings"]
