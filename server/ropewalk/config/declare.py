"""How one setting is declared: everything about it, beside its field, in one place.

Flag, variable, file key, default, help line and row of the documentation all come from a `Declaration`; no other
module names a setting's flag or variable.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ropewalk.config.kinds import Reader

PREFIX = "ROPEWALK_"
POSITIONAL = "MODULE:CALLABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What `settings.Settings` says about one of its fields besides its type and default."""

    read: Reader
    section: str
    help: str
    flags: tuple[str, ...] = ()
    """Spellings on the command line, the long one that names the setting last; none: the positional argument."""
    metavar: str = ""
    """What stands for the value in the help; "" for a switch."""
    python_name: str = ""
    """The key in a `.py` file where gunicorn's differs from the field's name."""
    other_variables: tuple[str, ...] = ()
    """Variables that are read after `ROPEWALK_…`, since other servers and platforms use them."""
    reason: str = ""
    """Why the default is what it is, for the documentation."""
    is_repeatable: bool = False
    is_flag_only: bool = False
    """Asked on the command line alone: neither a variable nor a file can say it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of `Settings` with all its names."""

    name: str
    default: Any
    declaration: Declaration

    @property
    def flag(self) -> str:
        """The name by which messages and the documentation call it."""
        return self.declaration.flags[-1] if self.declaration.flags else POSITIONAL

    @property
    def key(self) -> str:
        """The key in a `.toml` file, with dashes (underscores are accepted too)."""
        if not self.declaration.flags:
            return self.name.replace("_", "-")
        return self.flag.removeprefix("--").replace("_", "-")

    @property
    def python_key(self) -> str:
        """The name in a `.py` file: gunicorn's, where it has one."""
        return self.declaration.python_name or self.name

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that may say it, the first that is set wins."""
        if self.declaration.is_flag_only:
            return ()
        return (PREFIX + self.key.replace("-", "_").upper(), *self.declaration.other_variables)

    @property
    def is_switch(self) -> bool:
        return not self.declaration.metavar


def declare(default: Any, **said: Any) -> Any:
    """A dataclass field with its `Declaration`; the keywords are the declaration's."""
    return dataclasses.field(default=default, metadata={"setting": Declaration(**said)})


def settings_of(table: type[Any]) -> tuple[Setting, ...]:
    """The declared settings of the dataclass `table`, in its order."""
    return tuple(Setting(field.name, field.default, field.metadata["setting"]) for field in dataclasses.fields(table))
