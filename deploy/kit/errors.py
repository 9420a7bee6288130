"""Errors that end a command with one line and exit status 2."""


class KitError(Exception):
    """A wrong value, or something that this machine lacks. The message is one line without a full stop."""
