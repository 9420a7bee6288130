"""How one setting is declared: everything about it, beside its field, in one place.

Flag, variable, file key, default, help line and row of the documentation all come from a `Declaration`; no other
module names a setting's flag or variable.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform

from ropewalk.config.readers import Reader

PREFIX = "ROPEWALK_"
POSITIONAL = "MODULE:CALLABLE"


class Declaration(NamedTuple):
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


class Setting(NamedTuple):
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
    """An attribute of a `Table` with its `Declaration`; the keywords are the declaration's."""
    return default, Declaration(**said)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(declare,))
class Table:
    """The base of a table of settings: a value with an attribute for each, which does not change.

    What `dataclasses` would make of it; that brings `inspect` along, and compiles methods of as many arguments.
    """

    declared: ClassVar[tuple[Setting, ...]]
    """The settings in the order of the table."""

    def __init_subclass__(cls) -> None:
        # From 3.13 on Python adds tuples of its own, as `__static_attributes__`.
        said = {name: value for name, value in vars(cls).items() if isinstance(value, tuple) and name[:2] != "__"}
        cls.declared = tuple(Setting(name, *value) for name, value in said.items())
        for setting in cls.declared:
            setattr(cls, setting.name, setting.default)  # an instance has of its own what is not the default

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - {setting.name for setting in self.declared}
        if unknown:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        vars(self).update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} is set already: settings do not change")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in self.declared)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({said})"

    def changed(self, **values: Any) -> Self:
        """The same with these settings instead."""
        return type(self)(**(vars(self) | values))
