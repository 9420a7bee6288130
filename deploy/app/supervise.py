#!/opt/venv/bin/python -Iu
"""Runs supervisord as this process, with the kit's programs and those that the project adds.

A project adds programs in supervisor.d/*.conf. They join the group "kit", since supervisord stops the programs of one
group together but one group after another, and their output goes to the container's log unless they say otherwise.

supervisord exits with 0 even when a program is FATAL, so no restart policy and no orchestrator would notice. The
listener (fatal_listener.py) leaves a mark and stops supervisord; here the mark becomes exit status 3.
"""

import configparser
import os
import sys
from pathlib import Path
from typing import NoReturn

import supervisor.poller
from supervisor.options import UnhosedConfigParser
from supervisor.supervisord import main as run_supervisord

sys.path.insert(0, str(Path(__file__).parent))  # isolated: Python has not put it there

from waking_poller import WakingPoller

KIT_CONFIG = Path("/opt/venv/etc/supervisord.conf")  # the first place in which supervisorctl looks
PROJECT_CONFIG = Path("/app/supervisor.d")
CONFIG = Path("/tmp/supervisord.conf")
FATAL_MARK = Path("/tmp/supervisor.fatal")

GROUP = "group:kit"
PROGRAM = "program:"
DEFAULTS = {
    "stdout_logfile": "/dev/fd/1",
    "stdout_logfile_maxbytes": "0",
    # as long as the server has; a program that needs less does not wait
    "stopwaitsecs": "%(ENV_STOP_WAIT)s",
    "killasgroup": "true",
}
DEFAULTS_OF_STDERR = {"stderr_logfile": "/dev/fd/2", "stderr_logfile_maxbytes": "0"}


class ConfigError(Exception):
    """A file of the project's that cannot be used, in one line."""


def merge(kit: str, folder: Path) -> UnhosedConfigParser:
    """supervisord's configuration: the kit's text, and the files in the project's folder. Raises ConfigError."""
    merged = UnhosedConfigParser()
    merged.read_string(kit)
    for path in sorted(folder.glob("*.conf")):
        added = UnhosedConfigParser()
        try:
            added.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
        added.expand_here(str(folder))
        for section in added.sections():
            if merged.has_section(section):
                raise ConfigError(f"{path}: [{section}] is defined already")
            merged.add_section(section)
            for option, value in added.items(section):
                merged.set(section, option, value)
    grouped = _members(merged)
    for section in merged.sections():
        name = section.removeprefix(PROGRAM)
        if section.startswith(PROGRAM) and name not in grouped:
            _set_defaults(merged, section)
            merged.set(GROUP, "programs", f"{merged.get(GROUP, 'programs')},{name}")
    return merged


def _members(config: UnhosedConfigParser) -> set[str]:
    """The programs that are in a group."""
    groups = [section for section in config.sections() if section.startswith("group:")]
    return {
        name.strip()
        for group in groups
        if config.has_option(group, "programs")
        for name in config.get(group, "programs").split(",")
    }


def _set_defaults(config: UnhosedConfigParser, program: str) -> None:
    # where the release has run the project's commands, and the server runs: a relative path means the same file
    folder = os.environ.get("PROJECT_FOLDER", "/app").replace("%", "%%")
    redirected = config.get(program, "redirect_stderr", fallback="false").lower() in ("true", "yes", "on", "1")
    defaults = {"directory": folder} | DEFAULTS | ({} if redirected else DEFAULTS_OF_STDERR)
    for option, value in defaults.items():
        if not config.has_option(program, option):
            config.set(program, option, value)


def fail(text: object) -> NoReturn:
    sys.stderr.write(f"supervise: {text}\n")
    sys.exit(2)


def main() -> int:
    try:
        FATAL_MARK.unlink(missing_ok=True)
        with CONFIG.open("w", encoding="utf-8") as file:
            merge(KIT_CONFIG.read_text(encoding="utf-8"), PROJECT_CONFIG).write(file)
    except (OSError, ConfigError) as error:
        fail(error)
    os.environ["FATAL_MARK"] = str(FATAL_MARK)
    supervisor.poller.Poller = WakingPoller
    run_supervisord(["--configuration", str(CONFIG)])
    if not FATAL_MARK.exists():
        return 0
    sys.stderr.write(f"supervise: {FATAL_MARK.read_text()} could not be kept running; its own lines above say why\n")
    return 3


if __name__ == "__main__":
    sys.exit(main())
