"""The words of a command in a variable, such as MIGRATE_COMMAND: quoted as in a shell, and run without one."""

import shlex

OPERATORS = frozenset(("&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "&>"))


def split(command: str) -> list[str]:
    """Raises ValueError for a quote that is not closed, for nothing at all, and for what only a shell understands: most
    programs take it as arguments, and some do so without a word."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(str(error).lower()) from None
    if not words:
        raise ValueError("must be a command, such as: python manage.py migrate")
    if used := next((word for word in words if word in OPERATORS), ""):
        raise ValueError(f"no shell runs it, and {used} is a shell's. With one: sh -c '...'")
    return words
