"""Errors that end a command with one line."""


class BackupError(Exception):
    """What failed. The message is one line without a full stop."""


class UsageError(Exception):
    """A wrong value, or a command that does not exist. The message says what is allowed."""
