"""Reads settings from environment variables. A wrong value raises ImproperlyConfigured with one line.

A blank variable counts as unset, because `VARIABLE: ${VARIABLE:-}` in a compose file sets one. A blank secret is an
error, because it is always a mistake.
"""

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_SIZE = re.compile(r"([0-9]{1,15})([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r}: must be 1 or 0 (or true, yes, on; false, no, off)")


def names(name: str, default: str = "") -> list[str]:
    """A comma-separated list."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def number(name: str, default: int, *, least: int, most: int) -> int:
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise ImproperlyConfigured(f"{name}={value!r}: must be an integer from {least} to {most}")
    return int(value)


def size(name: str, default: str) -> int:
    """A number of bytes, in nginx's notation: 512, 100k, 64m, 1g."""
    value = text(name, default)
    match = _SIZE.fullmatch(value)
    if match is None or int(match[1]) == 0:
        raise ImproperlyConfigured(f"{name}={value!r}: must be a size above 0, such as 512k, 64m or 1g")
    return int(match[1]) * _UNITS[match[2].lower()]


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default).upper()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r}: must be one of {', '.join(allowed)}")
    return value


def directory(name: str, default: Path) -> Path:
    return Path(text(name, str(default))).expanduser().absolute()


def secret(name: str, *, optional: bool = False) -> str | None:
    """The value of `name`, or the content of the file that `name`_FILE names; None if neither is set.

    An optional secret may be blank, and then counts as unset.
    """
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if optional:
        value, path = (each if (each or "").strip() else None for each in (value, path))
    if value is not None and path is not None:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: set only one of them")
    if path is not None:
        try:
            value = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ImproperlyConfigured(f"{name}_FILE={path!r}: cannot be read: {reason}") from error
    if value is not None and not value.strip():
        where = f"{name}_FILE={path!r}: the file is empty" if path is not None else f"{name} is set but blank"
        raise ImproperlyConfigured(f"{where}: set a value or unset it")
    return value.strip() if value is not None else None


def make_directory(path: Path, name: str) -> Path:
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}={str(path)!r}: cannot be created: {error.strerror}") from error
    return path


def kept_secret(path: Path, name: str) -> str:
    """The secret in the file at `path`, which is created with a new secret the first time.

    Several processes may start at once and must agree: the file is written under another name and *linked* into place,
    which fails if another process was first. Its secret is then read.
    """
    try:
        if not path.exists():
            with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as new:  # mode 0600
                new.write(secrets.token_urlsafe(50))
                new.flush()
                os.fsync(new.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(new.name, path)
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name} is not set, and no secret can be stored in {str(path)!r} ({error.strerror}): "
            f"set {name} or {name}_FILE, or make the directory writable"
        ) from error
    if not value:
        raise ImproperlyConfigured(f"{str(path)!r} is empty: delete it to generate a new {name}")
    return value
