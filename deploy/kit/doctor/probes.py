"""What `make doctor` asks the engine, the containers and this machine. Each question is asked once and is bounded.

A question that gets no answer raises KitError, which becomes a finding.
"""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from kit import backups, certificates, compose, containers, env_files
from kit.containers import Container
from kit.doctor import inside
from kit.doctor.settings import READS
from kit.errors import KitError
from kit.logs import sources
from kit.logs.records import Access, read_time
from kit.paths import ROOT
from kit.project import django, facts
from kit.project.debug_switch import DebugSwitch
from kit.project.facts import Project
from kit.project.reading import relative
from kit.release import page
from kit.release.containers import read, shared_address
from kit.release.proxy import MAINTENANCE
from kit.remote import server

ENTRYPOINT = "/kit/bin/entrypoint"
INSIDE = Path(inside.__file__)
COMMAND_TIMEOUT = 30  # seconds for one command of the project, such as a check
UPDATES_TIMEOUT = 60  # seconds for the lists of Debian's packages: some MB
FOLDER = "%n %b %a %S"
"""The format of stat -f for read_folders."""
OF_SERVERS = {"postgres": "/srv/postgres", "redis": "/srv/redis"}
ASK_NGINX = """\
ulimit -n
stat -f -c "%n %b %a %S" /tmp /srv/bodies /srv/responses
"""
ASK_CERTIFICATE = "openssl x509 -in /tmp/nginx/tls.pem -noout -enddate -issuer -subject -ext subjectAltName"
ASK_UPDATES = "timeout 45 apt-get update -qq >/dev/null 2>&1 && ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 &&"
ASK_UPDATES += " apt list --upgradable 2>/dev/null"

Answer = TypeVar("Answer")


class Site:
    """The site as it runs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.values = env_files.read_kit(environment)
        self.environment = compose.prepare(environment)
        self.project = compose.project_name(self.environment)
        self._ahead: dict[str, Future[str | None]] = {}
        """Of each service, what `updates` returns. Written before the first check alone."""

    def ask_ahead(self) -> None:
        """Starts what takes the longest, so that the other checks go on meanwhile: Debian's servers are slow."""
        for service in self.built:
            self._ahead[service] = in_background(partial(self._ask_updates, service))

    @cached_property
    def containers(self) -> list[Container]:
        return containers.of_project(self.project, self.environment)

    @property
    def machine(self) -> str:
        """The engine's, for people."""
        found = server.of(self.environment)
        return f"{found.host} itself" if found else "this machine"

    @property
    def built(self) -> list[str]:
        """The services that run in an image of the kit's."""
        running = {each.service for each in self.containers if each.is_running}
        return [service for service in containers.BUILT if service in running]

    def running(self, service: str) -> Container:
        """Raises KitError if none runs."""
        for container in self.containers:
            if container.service == service and container.is_running:
                return container
        raise KitError(f"no container of {service} runs")

    @property
    def stop_timeouts(self) -> dict[str, int | None]:
        running = [each for each in self.containers if each.is_running and each.service in ("app", "nginx")]
        return {each.service: each.inspected["Config"].get("StopTimeout") for each in running}

    @property
    def memory_limits(self) -> list[int]:
        running = [each for each in self.containers if each.is_running]
        return [int((each.inspected.get("HostConfig") or {}).get("Memory") or 0) for each in running]

    @cached_property
    def engine(self) -> dict[str, Any]:
        return dict(json.loads(containers.output(["info", "--format", "{{json .}}"], self.environment)))

    @cached_property
    def inside(self) -> dict[str, Any]:
        """What inside.py says of the application's container, and when it was asked."""
        words = ["exec", "--interactive", self.running("app").identifier, "timeout", str(COMMAND_TIMEOUT)]
        before = time.time()
        said = containers.output(
            [*words, ENTRYPOINT, "python", "-I", "-"], self.environment, sent=INSIDE.read_text(encoding="utf-8")
        )
        return {**json.loads(said.splitlines()[-1]), "asked": (before + time.time()) / 2}

    @property
    def secrets(self) -> list[dict[str, Any]]:
        """Of the application, or of the two files if it does not run: a blank one may be why."""
        try:
            self.running("app")
        except KitError:
            files = self.values | env_files.read_project(self.values)
            return [inside.describe(name, value) for name, value in files.items() if inside.is_secret(name)]
        return list(self.inside["secrets"])

    @cached_property
    def nginx(self) -> tuple[int, list[dict[str, Any]]]:
        """How many files nginx may open, and its folders in memory."""
        words = ["exec", self.running("nginx").identifier, "bash", "-c", ASK_NGINX]
        limit, *lines = containers.output(words, self.environment).splitlines()
        return (int(limit) if limit.isdigit() else 0), read_folders(lines)

    @property
    def servers_folders(self) -> list[dict[str, Any]]:
        """The volumes of the kit's own database and queue."""
        lines: list[str] = []
        for each in self.containers:
            if each.service in OF_SERVERS and each.is_running:
                words = ["exec", each.identifier, "stat", "-f", "-c", FOLDER, OF_SERVERS[each.service]]
                done = containers.call(words, self.environment)
                lines += done.stdout.splitlines() if done.returncode == 0 else []  # one that restarts again and again
        return read_folders(lines)

    @cached_property
    def fixed_settings(self) -> dict[str, str]:
        """File and line of Django's settings that are literals in the project's code; empty if that is not here."""
        module = self.inside["variables"].get("DJANGO_SETTINGS_MODULE", "")
        try:
            folder = compose.find_project(self.values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT)
            found = django.find(folder, self.values)
        except KitError:
            return {}
        return fixed_in(folder, django.settings_files(found.root, module)) if found and module else {}

    @cached_property
    def looked(self) -> Project | None:
        """What the project's files say; None if they are not here, or cannot be understood."""
        try:
            folder = compose.find_project(self.values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT)
            return facts.look(folder, self.values)
        except KitError:
            return None

    @property
    def fixed_key(self) -> str:
        """File and line of a secret key that is a text in the code; "" if there is none."""
        is_replaced = any(secret["name"] == "FLASK_SECRET_KEY" and not secret["blank"] for secret in self.secrets)
        return self.looked.fixed_secret_key if self.looked and not is_replaced else ""

    @property
    def debug_switches(self) -> list[DebugSwitch]:
        """Variables, set or not, with which DEBUG is on."""
        given = self.values | self.own
        return [one for one in self.looked.debug_switches if one.is_on(given)] if self.looked else []

    @cached_property
    def own(self) -> dict[str, str]:
        """The variables of .env.project."""
        return env_files.read_project(self.values)

    @property
    def is_maintained(self) -> bool:
        words = ["exec", self.running("nginx").identifier, *MAINTENANCE]
        return containers.call(words, self.environment).returncode == 0

    @property
    def pages(self) -> dict[str, int]:
        """The status of the page `/` of each container of the application, as nginx would request it; 0: none."""
        nginx = read(self.running("nginx").inspected)

        def ask(command: Sequence[str]) -> str:
            return containers.call(["exec", nginx.identifier, *command], self.environment).stdout

        self.running("app")
        running = [read(each.inspected) for each in self.containers if each.service == "app" and each.is_running]
        return {each.name: page.status_inside(ask, shared_address(each, nginx)) for each in running}

    @property
    def certificate(self) -> str:
        words = ["exec", self.running("nginx").identifier, "bash", "-c", ASK_CERTIFICATE]
        return containers.output(words, self.environment)

    @property
    def issue_problem(self) -> str:
        """Why the profile acme has no certificate; empty if it has one, or is off."""
        for each in self.containers:
            if each.service == "acme" and each.is_running and each.health != "healthy":
                logged = containers.call(["logs", "--tail", "1000", each.identifier], self.environment)
                return certificates.problem(f"{logged.stdout}\n{logged.stderr}")
        return ""

    @property
    def newest_backup(self) -> datetime | None:
        """Of those in the checkout, and of those that the schedule has made; None without one."""
        names = [path.name for path in (ROOT / backups.FOLDER).glob("*")]
        for container in self.containers:
            if container.service == "backup" and container.is_running:
                words = ["exec", container.identifier, "python3", "-I", "/kit/backup", "list"]
                names += [line.partition("\t")[0] for line in containers.output(words, self.environment).splitlines()]
        return backups.newest_time(names, self.project)

    @property
    def log(self) -> str:
        """The end of the application's log."""
        logged = containers.call(["logs", "--tail", "3000", self.running("app").identifier], self.environment)
        return f"{logged.stdout}\n{logged.stderr}"

    @cached_property
    def hints(self) -> list[tuple[str, Access]]:
        """What nginx has noted in the end of its access log, and of which request."""
        options = ["--tail", "3000"]
        records = sources.read(self.running("nginx").identifier, "nginx", options, self.environment)
        accesses = [record.access for record in records if record.access]
        return [(str(hint), access) for access in accesses if (hint := access.fields.get("hint"))]

    @property
    def proxy_hints(self) -> list[str]:
        """About proxies in front of nginx."""
        return [hint for hint, _ in self.hints if "TRUSTED_PROXIES" in hint]

    @property
    def too_large(self) -> list[str]:
        """The targets of requests whose body nginx has refused."""
        return [access.target for hint, access in self.hints if "UPLOAD_PATHS" in hint]

    @property
    def plan(self) -> str:
        """What compose would do to the application and nginx."""
        count = sum(each.service == "app" and each.is_running for each in self.containers)
        words = ["compose", "--dry-run", "create", "--no-build", f"--scale=app={count}"]
        done = containers.call([*words, "nginx", "app"], self.environment)
        if done.returncode:
            raise KitError((done.stderr.strip().splitlines() or ["docker compose create: no reason"])[-1])
        return done.stdout + done.stderr

    def manage(self, *arguments: str) -> tuple[int, str]:
        """The exit status and all that manage.py printed."""
        words = ["exec", self.running("app").identifier, "timeout", str(COMMAND_TIMEOUT), ENTRYPOINT]
        done = containers.call(
            [*words, "python", "manage.py", *arguments], self.environment, timeout=COMMAND_TIMEOUT + 30
        )
        return done.returncode, done.stdout + done.stderr

    @cached_property
    def django_check(self) -> str | None:
        """None: the project has no manage.py."""
        return self.manage("check", "--deploy")[1] if self.inside["has_manage"] else None

    def created(self, service: str) -> datetime:
        """When the image of a running container was built."""
        image = self.running(service).inspected["Image"]
        said = containers.output(["image", "inspect", "--format", "{{.Created}}", image], self.environment)
        time = read_time(said.strip())
        if time is None:
            raise KitError(f"docker image inspect: {said.strip()!r} is no time")
        return time

    def updates(self, service: str) -> str | None:
        """`apt list --upgradable` in a container of the image; None if no package server answers."""
        return self._ahead[service].result() if service in self._ahead else self._ask_updates(service)

    def _ask_updates(self, service: str) -> str | None:
        image = self.running(service).inspected["Image"]
        words = ["run", "--rm", "--user", "0", "--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"]
        words += ["--cap-add", "CHOWN", "--cap-add", "FOWNER", "--cap-add", "DAC_OVERRIDE", "--entrypoint", "sh"]
        done = containers.call([*words, image, "-c", ASK_UPDATES], self.environment, timeout=UPDATES_TIMEOUT)
        return done.stdout if done.returncode == 0 else None


def read_folders(lines: Sequence[str]) -> list[dict[str, Any]]:
    """From lines of `stat -f -c FOLDER`; they say nothing of inodes."""
    found = []
    for line in lines:
        path, blocks, free, block = line.split()
        size = int(block)
        found.append({"path": path, "size": int(blocks) * size, "free": int(free) * size, "files": 0, "files_free": 0})
    return found


def in_background(ask: Callable[[], Answer]) -> "Future[Answer]":
    """Asks in a thread that does not keep the command from ending."""
    future = Future[Answer]()

    def run() -> None:
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is read
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def fixed_in(folder: Path, files: Sequence[Path]) -> dict[str, str]:
    """File, relative to the folder, and line of the settings that these files have as literals."""
    found = {name: django.fixed_setting(files, name) for name in READS}
    return {name: f"{relative(place[0], folder)}:{place[1]}" for name, place in found.items() if place}


def is_synchronized() -> bool | None:
    """Whether systemd says so of this machine's clock; None: it does not say."""
    try:
        done = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


def is_debugging(check: str | None) -> bool | None:
    """Whether Django's check has found DEBUG on; None: it has not run to its end."""
    if check is None or not re.search(r"System check identified", check):
        return None
    return "security.W018" in check
