"""How a setting is declared: everything about it in one place, next to its field.

Option, variable, file key, default, help line and documentation all come from the `Declaration`; no other module names
a setting's option or variable.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from ropewalk.config.readers import Reader
from ropewalk.errors import ConfigError

PREFIX = "ROPEWALK_"
POSITIONAL = "MODULE:CALLABLE"

T = TypeVar("T")


class Declaration(NamedTuple):
    """What `settings.Settings` says about a field besides its type and default."""

    read: Reader
    section: str
    help: str
    flags: tuple[str, ...] = ()
    """Spellings on the command line; the last one names the setting. None for the positional argument."""
    metavar: str = ""
    """Placeholder for the value in the help; "" for a switch."""
    python_name: str = ""
    """The key in a `.py` file, if gunicorn's name differs from the field's."""
    other_variables: tuple[str, ...] = ()
    """Variables that are read after `ROPEWALK_…`, because other servers and platforms use them."""
    is_set_by_env: bool = False
    """Whether `--env` sets `other_variables`, too, as in gunicorn."""
    default_variable: str = ""
    """A platform's variable that replaces the default: everything else, files included, takes precedence over it."""
    read_default: Reader | None = None
    """How `default_variable` is read."""
    reason: str = ""
    """Why the default is what it is, for the documentation."""
    is_common: bool = False
    """Whether `--help` shows it; `--help-all` shows every option."""
    is_repeatable: bool = False
    is_flag_only: bool = False
    """Whether it is an option of the command line only, without a variable or a key in a file."""
    needs_restart: bool = False
    """Whether a reload leaves it as it is."""
    not_embedded: str = ""
    """Why an embedded server (`ropewalk.Server`) refuses it; "" if it applies there."""


class Setting(NamedTuple):
    """A field of `Settings` with all its names."""

    name: str
    default: Any
    declaration: Declaration

    @property
    def flag(self) -> str:
        """The name that messages and the documentation use."""
        return self.declaration.flags[-1] if self.declaration.flags else POSITIONAL

    @property
    def key(self) -> str:
        """The key in a `.toml` file, with dashes (underscores are accepted too)."""
        if not self.declaration.flags:
            return self.name.replace("_", "-")
        return self.flag.removeprefix("--").replace("_", "-")

    @property
    def python_key(self) -> str:
        """The name in a `.py` file: gunicorn's, if it has one."""
        return self.declaration.python_name or self.name

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that may set it; the first that is set wins."""
        if self.declaration.is_flag_only:
            return ()
        return (PREFIX + self.key.replace("-", "_").upper(), *self.declaration.other_variables)

    @property
    def documented_variables(self) -> tuple[str, ...]:
        """`variables`, and the one that replaces the default."""
        return (*self.variables, *filter(None, [self.declaration.default_variable]))

    @property
    def is_switch(self) -> bool:
        return not self.declaration.metavar

    @property
    def is_in_files(self) -> bool:
        """Whether a configuration file may set it."""
        return not self.declaration.is_flag_only and self.name != "config"

    def read(self, value: object, name: str, source: str = "") -> Any:
        """The setting's value, from text or a value of a file. Raises ConfigError, which calls the setting `name`."""
        try:
            return self.declaration.read(value)
        except ValueError as error:
            raise ConfigError(name, value, str(error), source) from None

    def read_default_variable(self, text: str) -> Any:
        """The setting's value, from the text of `default_variable`. Raises ConfigError."""
        assert self.declaration.read_default is not None
        try:
            return self.declaration.read_default(text)
        except ValueError as error:
            raise ConfigError(self.declaration.default_variable, text, str(error)) from None


def declare(*, default: T, **declaration: Any) -> T:
    """A field of a `Table`; the other keywords are those of `Declaration`."""
    return default, Declaration(**declaration)  # type: ignore[return-value]  # Table makes it the value


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(declare,))
class Table:
    """The base of a table of settings: an immutable value with an attribute for each field.

    Type checkers treat it as a dataclass. It is not one, because `dataclasses` would load `inspect` and compile methods
    with as many arguments as there are fields.
    """

    declared: ClassVar[tuple[Setting, ...]]
    """The settings, in the order of the table."""

    def __init_subclass__(cls) -> None:
        cls.declared = tuple(
            Setting(name, *value)
            for name, value in vars(cls).items()
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Declaration)
        )
        for setting in cls.declared:
            setattr(cls, setting.name, setting.default)  # an instance stores only what differs from the default

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - {setting.name for setting in self.declared}
        if unknown:
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        vars(self).update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot set {name}: settings do not change")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, each.name) == getattr(other, each.name) for each in self.declared)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def changed(self, **values: Any) -> Self:
        """A copy with other values for these settings."""
        return type(self)(**(vars(self) | values))
