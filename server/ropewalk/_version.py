"""The version, which the packaging tool, `--version` and the logs read, and the build."""

import os

__version__ = "0.1.0"


def build() -> str:
    """`compiled` if Python finds compiled modules beside the sources and prefers them (docs/compiled.md), or `pure`."""
    from importlib.machinery import EXTENSION_SUFFIXES

    module = os.path.join(os.path.dirname(__file__), "http", "head")
    return "compiled" if any(os.path.isfile(module + suffix) for suffix in EXTENSION_SUFFIXES) else "pure"
