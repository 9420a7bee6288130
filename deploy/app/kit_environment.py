"""The environment of the project's processes, for those that the entrypoint did not start: `docker compose exec`.

And, for Django: errors in the container's log. With DEBUG off, Django's own configuration sends them by mail alone. The
kit's health checks are left out of the logs: a project without /healthz would warn of each.

kit_environment.pth in the image's site-packages loads this at the start of every Python interpreter, so it imports only
what the interpreter, or Django, loads anyway. Isolated interpreters, which are the kit's own, are left alone.
"""

import os
import sys

TYPE_CHECKING = False  # typing is not loaded anyway
if TYPE_CHECKING:
    from typing import Any

PROJECT = "/kit/project.env"
SECRETS = ("SECRET_KEY", "DATABASE_URL")
SERVICES = "/srv/services"
"""The folder in which the kit's own database and Redis say where they are."""
NAMES = "/kit/service-names"
"""The project's own names for that (prepare.py): SERVICE NAME=SOURCE, one a line."""
GIVEN = "/run/secrets"
"""The folder in which an orchestrator keeps the project's variables secret (kit.sh, kit_given)."""
PROBE = "probe"  # the User-Agent of the health checks
TIME = "%Y-%m-%d %H:%M:%S %z"


def load(path: str = PROJECT, services: str = SERVICES, names: str = NAMES, given: str = GIVEN) -> None:
    """Sets what is not set: the variables of both files, secrets from the files that NAME_FILE names, and services."""
    for name, value in (
        *_read(f"{given}/environment", "\0"),
        *_read_folder(f"{given}/project"),
        *_read_folder(f"{given}/site"),
    ):
        os.environ.setdefault(name, value)
    for name, value in _read(path):
        if name == "PYTHONPATH" and name not in os.environ:
            sys.path.extend(entry for entry in value.split(os.pathsep) if entry not in sys.path)
        os.environ.setdefault(name, value)
    for name in SECRETS:
        file_name = os.environ.get(f"{name}_FILE")
        if file_name and name not in os.environ:
            try:
                with open(file_name, encoding="utf-8") as file:
                    os.environ[name] = file.read().rstrip("\n")
            except OSError:
                continue  # the entrypoint reports it; a tool such as `python --version` works without
            del os.environ[f"{name}_FILE"]
    own = _read(names)
    try:
        files = sorted(name for name in os.listdir(services) if name.endswith(".env"))
    except OSError:
        files = []  # not in the kit's container
    for name in files:
        service = name[: -len(".env")]
        _load_service(_read(f"{services}/{name}"), _of_service(service, own))


def _of_service(service: str, own: "list[tuple[str, str]]") -> "list[tuple[str, str]]":
    return [(name.split()[1], source) for name, source in own if name.split()[0] == service]


def _load_service(lines: "list[tuple[str, str]]", names: "list[tuple[str, str]]") -> None:
    """As kit_service of kit.sh: nothing of it, if the project uses another one."""
    is_another = any(source.endswith("HOST") and name in os.environ for name, source in names)
    if not lines or lines[0][0] in os.environ or is_another:
        return
    own = dict(names)
    scheme = own.pop("scheme", "")
    values = {name: _with_scheme(value, scheme) for name, value in lines}
    for name, value in values.items():
        os.environ.setdefault(name, value)
    for name, source in own.items():
        os.environ.setdefault(name, source[1:] if source.startswith("=") else values.get(source, ""))


def _with_scheme(value: str, scheme: str) -> str:
    _, mark, rest = value.partition("://")
    return f"{scheme}://{rest}" if scheme and mark else value


def _read_folder(path: str) -> "list[tuple[str, str]]":
    """The names and contents of its files; none if there is no such folder."""
    found = []
    try:
        for name in sorted(os.listdir(path)):
            if name.isidentifier():
                with open(f"{path}/{name}", encoding="utf-8") as file:
                    found.append((name, file.read().rstrip("\n")))
    except OSError:  # as with NAME_FILE
        pass
    return found


def _read(path: str, end: str = "") -> "list[tuple[str, str]]":
    """The lines NAME=value of a file, or what ends with `end` instead; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    lines = text.split(end)[:-1] if end else text.splitlines()
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def show_errors_of_django() -> None:
    """Has the logger of failed requests write what none of its handlers would show.

    As a filter, because logging.config.dictConfig, which applies the project's LOGGING, removes handlers of this logger
    and leaves filters. The root logger has nothing of the kit: with a handler there, logging.basicConfig does nothing.
    """
    import logging

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            text = super().format(record)
            identifier = getattr(getattr(record, "request", None), "META", {}).get("HTTP_X_REQUEST_ID")
            first, newline, rest = text.partition("\n")
            return f"{first} (request id {identifier}){newline}{rest}" if identifier else text

    def is_seen(record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger:
            for other in logger.handlers:
                has_level = record.levelno >= other.level
                if isinstance(other, logging.StreamHandler) and has_level and not _is_filtered(other):
                    return True
            logger = logger.parent if logger.propagate else None
        return False

    def show(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR and not is_seen(record):
            handler.handle(record)
        return True

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", TIME))
    logging.getLogger("django.request").addFilter(show)


def leave_out_health_checks_of_django() -> None:
    """Unless they fail: a 404 is the response of a project that has no such page."""
    import logging

    def is_wanted(record: logging.LogRecord) -> bool:
        fields = getattr(getattr(record, "request", None), "META", {})
        return record.levelno >= logging.ERROR or fields.get("HTTP_USER_AGENT") != PROBE

    logging.getLogger("django.request").addFilter(is_wanted)


def leave_out_health_checks_of_gunicorn() -> None:
    """Unless they fail. gunicorn passes the letters of its format as the arguments of the record."""
    import logging

    def is_wanted(record: logging.LogRecord) -> bool:
        letters = record.args
        return not isinstance(letters, dict) or letters.get("a") != PROBE or str(letters.get("s")) >= "5"

    logging.getLogger("gunicorn.access").addFilter(is_wanted)


def _is_filtered(handler: "Any") -> bool:
    """Whether it writes with DEBUG on alone, and DEBUG is off."""
    if not any(type(rule).__name__ == "RequireDebugTrue" for rule in handler.filters):
        return False
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    return not getattr(settings, "DEBUG", False)


if not sys.flags.isolated:
    load()
    if os.environ.get("MAKE_DEV"):
        import dev_settings

        dev_settings.install()
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        leave_out_health_checks_of_django()
        if os.environ.get("LOG_ERRORS") != "0":
            show_errors_of_django()
    if any(os.path.basename(word) == "gunicorn" for word in sys.orig_argv[1:3]):
        leave_out_health_checks_of_gunicorn()
