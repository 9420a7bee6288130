"""The version, which the packaging tool, `--version` and the logs read."""

__version__ = "0.1.0"
