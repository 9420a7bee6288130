"""The variables of the container of backups."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from backup.errors import UsageError

TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
PUBLIC_KEY = Path("/run/secrets/backup_key")
"""The file that BACKUP_KEY names on the other machine; empty for none."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Settings:
    project: str
    """The first part of a backup's name."""
    release: str
    """The tag of the release that is live; "" if it is not known."""
    times: tuple[str, ...]
    """HH:MM, of the container's time zone."""
    keep: int
    """How many backups stay in the folder; 0: all."""
    recipient: str
    """Of age (age1..., or ssh-...), or of gpg: a key in `key`. "" for none."""
    key: Path | None
    """A file with a public key of gpg."""
    identity: Path | None
    """A file with a private key of age or gpg, to read backups with."""
    database_url: str
    """Of the kit's own PostgreSQL; "" if the project does not use it."""
    elsewhere: str
    """Where the database is that is not in the backup; "" for none."""
    has_postgres: bool = False
    """The kit's own PostgreSQL is wanted; it may not have started yet."""
    data: Path = Path("/data")
    media: Path = Path("/srv/media")
    folder: Path = Path("/backups")


def read(environment: "os._Environ[str] | dict[str, str]" = os.environ) -> Settings:
    """Raises UsageError."""
    project = environment.get("BACKUP_PROJECT") or "site"
    if not NAME.fullmatch(project):
        raise UsageError(f"BACKUP_PROJECT={project!r}: must be letters, digits, and _ . -")
    times = tuple((environment.get("BACKUP_AT") or "03:30").replace(",", " ").split())
    for time in times:
        if not TIME.fullmatch(time):
            raise UsageError(f"BACKUP_AT={time!r}: must be times such as 03:30, separated by spaces")
    keep = environment.get("BACKUP_KEEP") or "14"
    if not keep.isdecimal() or len(keep) > 4:
        raise UsageError(f"BACKUP_KEEP={keep!r}: must be an integer from 0 to 9999")
    recipient = environment.get("BACKUP_RECIPIENT", "").strip()
    key = PUBLIC_KEY if recipient and has_content(PUBLIC_KEY) else None
    if recipient and not key and not recipient.startswith(("age1", "ssh-")):
        raise UsageError(
            f"BACKUP_RECIPIENT={recipient!r}: must be a public key of age (age1..., ssh-...),"
            " or name the key of gpg in the file BACKUP_KEY"
        )
    own = service("postgres", "DATABASE_URL")
    url = environment.get("DATABASE_URL") or own
    scheme, _, rest = url.partition("://")
    return Settings(
        project=project,
        release=environment.get("BACKUP_RELEASE", ""),
        times=times,
        keep=int(keep),
        recipient=recipient,
        key=key,
        identity=path(environment.get("BACKUP_IDENTITY", "")),
        database_url=own if own and url == own else "",
        has_postgres="postgres" in environment.get("COMPOSE_PROFILES", "").split(","),
        elsewhere=rest.rpartition("@")[2] if scheme not in {"", "sqlite"} and url != own else "",
    )


def has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def path(value: str) -> Path | None:
    return Path(value) if value else None


def service(name: str, variable: str, folder: Path = Path("/srv/services")) -> str:
    """What the kit's own database says about itself (deploy/postgres/entrypoint)."""
    try:
        lines = (folder / f"{name}.env").read_text().splitlines()
    except OSError:
        return ""
    return dict(line.partition("=")[::2] for line in lines).get(variable, "")
