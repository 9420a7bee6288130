"""The values that a project's own example of an environment file shows, and which of them nobody means."""

import re
from pathlib import Path

from kit import dotenv
from kit.errors import KitError
from kit.project import services

EXAMPLES = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist", "example.env")
"""Files of a project that show its variables. Their values are used only where they are no secrets."""

PLACEHOLDER = re.compile(
    r"<[^>]*>|\[[a-z][^]]*\]|\{\{|\.\.\.|\byour\b|your[._-]|change[ _-]?(me|this|it)|x{3,}|\btodo\b|placeholder"
    r"|replace[ _-]?(me|this|with)|\bdummy\b|\bexample\.(com|org|net)\b|\.example\b|\bmy(domain|site)\b|\bsome[-_]",
    re.IGNORECASE,
)
"""Values of an example that nobody means."""

SERVER = re.compile(
    r"(^|_)(DB|DATABASE|POSTGRES\w*|PG|MYSQL|MARIADB|SQL|REDIS|VALKEY|BROKER|CELERY|AMQP|RABBIT\w*|MONGO\w*|ELASTIC\w*"
    r"|MEMCACHED?|CACHE|MAIL|EMAIL|SMTP)_?(\w+_)?(HOST|URL|URI|SERVER)$"
)
"""Names of variables that say where a server is."""


def read(folder: Path) -> dict[str, str]:
    """What the project's own example of an environment file suggests; blank values are left out."""
    for name in EXAMPLES:
        if (folder / name).is_file():
            try:
                return {key: value for key, value in dotenv.read(folder / name, {}).items() if value}
            except KitError:
                return {}
    return {}


def is_placeholder(name: str, value: str) -> bool:
    """Whether it only shows where a value goes, or names a server of the developer's machine or containers."""
    if PLACEHOLDER.search(value):
        return True
    host = services.host_of(value) if SERVER.search(name) else None
    return host is not None and not services.is_reachable(host)
