"""`make dev`: the project in containers for development, with its folder mounted, until Ctrl-C.

It shares nothing with the site of `make up`: containers, volumes and ports are others, and variables that name a
server, such as DATABASE_URL, are left out: it could be the one that visitors use. .env.dev has those for development.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from kit import compose, dotenv, env_files, example_values, local, local_environment, own_services
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT
from kit.project import facts, install, service_names
from kit.project.facts import Project
from kit.variables import read_integer

DEV_FILE = ".env.dev"
PROFILES = ("postgres", "redis", "worker", "scheduler")
"""Of those that .env turns on, the ones that development has too."""

BUILD_VARIABLES = (
    *("BASE_IMAGE", "BUILD_PACKAGES", "RUNTIME_PACKAGES", "IMAGE_INCLUDE", "REQUIREMENTS", "UNPIN"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "WSGI_APP", "DJANGO_SETTINGS_MODULE"),
)
DEBUG = re.compile(r"(\w+_)?DEBUG")
COMPARED = re.compile(r"""(?:==|\bin\b)\s*[\[({]?\s*['"](\w+)['"]""")
FIXED = {
    "MAKE_DEV": "1",
    "FLASK_DEBUG": "1",
    "HTTPS_ONLY": "0",
    "EMAIL_HOST": "mail",
    "EMAIL_PORT": "1025",
    "MAIL_SERVER": "mail",
    "MAIL_PORT": "1025",
    "WEB_CONCURRENCY": "1",
}
INTERVAL = 1.0  # seconds between two looks at the requirements
LOGS = ("logs", "--follow", "--tail", "50", "--no-log-prefix")


def dev(environment: Mapping[str, str]) -> int:
    """Exit status 0 after Ctrl-C. Raises KitError."""
    prepared = compose.prepare(environment)
    values = env_files.read_kit(environment)
    folder = compose.find_project(values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT, ROOT)
    project = facts.look(folder, values)
    name = f"{compose.project_name(prepared)}-dev"
    home = local.home_of(folder) / "dev"
    for each in ("data", "media"):
        local.make_folder(f"{home}/{each}", f"{home}/{each}")
    profiles, variables, left_out = choose(project, values, env_files.read_project(values))
    if left_out:
        step(f"Left out, as they name servers: {', '.join(left_out)}. Those for development go into {DEV_FILE}")
    file = home / "environment"
    keep(file, variables | dotenv.read(ROOT / DEV_FILE, values))
    ports = {each: read_integer(each, values) for each in ("DEV_PORT", "DEV_MAIL_PORT")}
    surroundings = prepared | {
        "COMPOSE_PROJECT_NAME": name,
        "COMPOSE_PROFILES": ",".join(profiles),
        "DEV_IMAGE": name,
        "DEV_USER": f"{os.getuid()}:{os.getgid()}",
        "DEV_SOURCE": str(folder),
        "DEV_DATA": str(home),
        "DEV_ENVIRONMENT": str(file),
        **{each: str(port) for each, port in ports.items()},
    }
    surroundings.pop("COMPOSE_FILE", None)
    for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed
        signal.signal(number, signal.default_int_handler)
    try:
        serve(project, surroundings, values, prepared.get("PROJECT_DIR", ""))
    except KeyboardInterrupt:
        pass
    finally:
        step("Stopping; the data stays")
        call(["down", "--timeout", "10"], surroundings)
    return 0


def serve(project: Project, surroundings: Mapping[str, str], values: Mapping[str, str], place: str) -> None:
    """Builds, starts and shows the logs; again whenever the requirements change."""
    while True:
        seen = requirements(project)
        build(surroundings, values, place)
        if call(["up", "--detach", "--build", "--remove-orphans"], surroundings):
            raise KitError("the containers could not be started; the lines above say why")
        step(f"http://localhost:{surroundings['DEV_PORT']}  the project; its code is reloaded when it changes")
        step(f"http://localhost:{surroundings['DEV_MAIL_PORT']}  its mails. Ctrl-C ends both")
        with subprocess.Popen(words([*LOGS]), env=dict(surroundings), cwd=ROOT) as logs:
            try:
                while requirements(project) == seen:
                    if logs.poll() is not None:
                        raise KitError("the containers have ended")
                    time.sleep(INTERVAL)
            finally:
                logs.terminate()
        step("The requirements have changed: building again")


def requirements(project: Project) -> str:
    return local.fingerprint(install.fingerprint_files(project.dependencies, project.folder))


def build(surroundings: Mapping[str, str], values: Mapping[str, str], place: str) -> None:
    """The image without the project's code. `place` is what compose would build from. Raises KitError."""
    command = ["docker", "build", "--quiet", "--target", "dev", "--tag", surroundings["DEV_IMAGE"]]
    for name in BUILD_VARIABLES:
        if values.get(name):
            command += ["--build-arg", f"{name}={values[name]}"]
    if place.startswith("/"):
        command += ["--build-context", f"project={place}"]
    else:
        command += ["--build-arg", f"PROJECT_DIR={place or compose.DEFAULT_PROJECT}"]
    command += ["--secret", f"id=netrc,src={values.get('NETRC') or 'deploy/compose/no-netrc'}", "."]
    step("Building the image: the requirements, without the project's code")
    done = subprocess.run(command, env=dict(surroundings), cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise KitError("the image cannot be built; the lines above say why")


def words(arguments: list[str]) -> list[str]:
    return [
        "docker",
        "compose",
        "--project-directory",
        str(ROOT),
        "--file",
        str(ROOT / "deploy/dev/compose.yml"),
        *arguments,
    ]


def call(arguments: list[str], surroundings: Mapping[str, str]) -> int:
    return subprocess.run(words(arguments), env=dict(surroundings), cwd=ROOT, check=False).returncode


def choose(
    project: Project, values: Mapping[str, str], own: Mapping[str, str]
) -> tuple[list[str], dict[str, str], list[str]]:
    """The profiles, the variables of the project, and the names that were left out."""
    passed = {name: values[name] for name in local_environment.passed_names() if values.get(name)}
    given = {**passed, **own}
    left_out = sorted(name for name, value in given.items() if names_server(name, value, project))
    variables = {name: value for name, value in given.items() if name not in left_out}
    on = [name for name in (values.get(own_services.PROFILES) or "").split(",") if name in PROFILES]
    needed = [one.profile for one in project.services.servers if one.profile and set(one.place) & set(left_out)]
    profiles = list(dict.fromkeys([*on, *needed, *own_services.choose(project, {}, variables)]))
    for name in ("WORKER_COMMAND", "SCHEDULER_COMMAND"):
        variables |= {name: values[name]} if values.get(name) else {}
    debugging = dict(debug_values(project))
    return profiles, {**variables, **FIXED, **debugging, own_services.PROFILES: ",".join(profiles)}, left_out


def names_server(name: str, value: str, project: Project) -> bool:
    """Whether it says where a server is, or how to log in there, and none in a file of the data folder."""
    parts = {*service_names.POSTGRES.values(), *service_names.REDIS.values()}
    parts |= {each for names in project.services.names.values() for each in names}
    is_server = name in parts or example_values.SERVER.search(name) is not None or name == "DATABASE_URL_FILE"
    return is_server and not value.startswith(("sqlite:", "/data/"))


def debug_values(project: Project) -> Iterator[tuple[str, str]]:
    """DEBUG, and what the project calls it, with the value that its code compares with."""
    yield "DEBUG", "1"
    for one in project.environment_names:
        if DEBUG.fullmatch(one.name):
            yield one.name, debug_value(project.folder, one.origin)


def debug_value(folder: Path, origin: str) -> str:
    file, _, number = origin.rpartition(":")
    try:
        line = (folder / file).read_text(encoding="utf-8", errors="replace").splitlines()[int(number) - 1]
    except (OSError, ValueError, IndexError):
        return "1"
    found = COMPARED.search(line)
    return found[1] if found and found[1].lower() not in ("0", "false", "no", "off", "") else "1"


def keep(path: Path, variables: Mapping[str, str]) -> None:
    """Only its owner can read it: it has secrets."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={dotenv.quote(value)}\n" for name, value in variables.items()), encoding="utf-8")
