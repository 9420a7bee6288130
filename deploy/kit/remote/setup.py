"""`make setup HOST=user@server`: whether a site can run there, with a mend for each finding. It changes nothing, unless
INSTALL=1 asks for Docker's package. Without HOST it looks at this machine."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit import compose, env_files, units
from kit.doctor import command as doctor
from kit.doctor.findings import Finding, Findings, Topic, has_errors
from kit.errors import KitError
from kit.remote import connection, server
from kit.remote.install import install
from kit.remote.server import Server

EXAMINE = Path(__file__).with_name("examine.py")
ENGINE_NEEDED = 20
MEMORY_NEEDED = 1_000_000_000  # octets: nginx and one application, and a build beside them
MEMORY_ENOUGH = 1_900_000_000  # of a server that is sold with 2 GB
DISK_NEEDED = 3_000_000_000  # octets for the images of a first build
DISK_ENOUGH = 10_000_000_000  # with five releases, logs and data
PORTS = (80, 443)
CLOCK = 5  # seconds
PATIENCE = 120.0  # seconds, for several questions to an engine that is slow
BACKLOG = 1024  # connections: less makes a busy nginx refuse some


def setup(environment: Mapping[str, str]) -> int:
    """Exit status 1 if something has to be mended first. Raises KitError if the server cannot be examined."""
    found = server.find(environment)
    used = dict(environment) | (server.variables(found, environment) if found else {})
    facts = examine(found, used)
    if environment.get("INSTALL") == "1":
        if facts["docker"] and not facts["docker"][0]:
            doctor.print_finding(Topic("docker").ok("it is installed already"))
        elif not facts["has_apt"]:
            raise KitError(
                f"INSTALL=1 needs apt, which {facts['system']} does not have: docs.docker.com/engine/install"
            )
        else:
            install(found, used, is_root=facts["uid"] == 0)
            facts = examine(found, used)
    findings = list(check(facts, found, env_files.read_kit(environment)))
    for finding in findings:
        doctor.print_finding(finding)
    return 1 if has_errors(findings) else 0


def examine(found: Server | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """What examine.py prints, and `difference`: how far its clock is from this one's, in seconds. Raises KitError."""
    began = time.time()
    if found:
        status, said = connection.call(
            found, ["python3", "-I", "-"], environment, sent=EXAMINE.read_bytes(), patience=PATIENCE
        )
    else:
        done = subprocess.run(
            [sys.executable, "-I", EXAMINE], env=environment, capture_output=True, text=True, check=False, timeout=90
        )
        status, said = done.returncode, done.stdout
    middle = (began + time.time()) / 2
    if status == connection.SSH_FAILED and found:
        connection.close(found, environment)
        raise KitError(connection.reason(found, status, said))
    if found and status and re.search("not found|No such file", said):
        raise KitError(f"{found.host} has no python3: there: sudo apt-get install python3")
    if found and status and (lacks := re.search("^ModuleNotFoundError: (.*)", said, re.MULTILINE)):
        part = f"{found.host} has a part of Python's library alone ({lacks[1]})"
        raise KitError(f"{part}: there: sudo apt-get install python3")
    try:
        facts = dict(json.loads(said.splitlines()[-1]))
    except (ValueError, IndexError):
        raise KitError(f"the server cannot be examined: {said.splitlines()[-1] if said else 'no answer'}") from None
    return facts | {"difference": facts["time"] - middle}


def check(facts: Mapping[str, Any], found: Server | None, values: Mapping[str, str]) -> Findings:
    yield Topic("system").ok(f"{facts['system']}, {facts['processors']} processors")
    yield _python(facts["python"], is_here=found is None)
    yield _docker(facts["docker"], found)
    if found is None:
        yield _compose(facts["compose"])
    yield _disk(facts["disk"])
    yield from _memory(facts["memory"])
    yield from _ports(facts, values)
    yield _clock(facts, found)
    yield from _kernel(facts)


def _python(version: list[int], *, is_here: bool) -> Finding:
    text = ".".join(map(str, version))
    if is_here and tuple(version) < (3, 11):
        return Topic("python").error(f"{text}; the kit needs 3.11", "a newer one: make PYTHON=python3.13 ...")
    return Topic("python").ok(text)


def _docker(answer: tuple[int, str] | None, found: Server | None) -> Finding:
    topic = Topic("docker")
    where = f" HOST={found}" if found else ""
    mend = f"make setup{where} INSTALL=1"
    if answer is None:
        return topic.error("it is not installed", mend)
    status, said = answer
    if status and "permission denied" in said:
        user = found.user if found else "this user"
        return topic.error(f"{user} may not use it", f"{mend}, or there: sudo usermod -aG docker {user}; log in again")
    if status:
        return topic.error("its engine does not run", "there: sudo systemctl enable --now docker")
    version = re.match(r"(\d+)\.", said)
    if version and int(version[1]) < ENGINE_NEEDED:
        return topic.error(f"engine {said} is too old", f"version {ENGINE_NEEDED} or newer")
    if version and int(version[1]) < compose.ENGINE_WITH_CONTEXTS:
        return topic.note(f"engine {said}: it builds a project outside of the checkout from a copy of it")
    return topic.ok(f"engine {said}")


def _compose(answer: tuple[int, str] | None) -> Finding:
    topic, needed = Topic("compose"), ".".join(map(str, compose.COMPOSE_NEEDED))
    if not answer or answer[0]:
        return topic.error(
            "docker has no compose plugin", "apt install docker-compose (Debian), docker-compose-v2 (Ubuntu)"
        )
    version = re.match(r"v?(\d+)\.(\d+)", answer[1])
    if version and (int(version[1]), int(version[2])) < compose.COMPOSE_NEEDED:
        return topic.error(f"{answer[1]} is too old", f"{needed} or newer: docs.docker.com/compose/install/linux")
    return topic.ok(answer[1])


def _disk(free: int) -> Finding:
    topic, text = Topic("disk"), f"{units.size(free)} are free for Docker"
    if free < DISK_NEEDED:
        return topic.error(
            text, f"the first build needs {units.size(DISK_NEEDED)}: docker system prune, or a larger disk"
        )
    if free < DISK_ENOUGH:
        return topic.warning(text, "five releases, logs and data need more over time: make prune, or a larger disk")
    return topic.ok(text)


def _memory(octets: int | None) -> Findings:
    topic = Topic("memory")
    if octets is None:
        yield topic.unknown("memory", "the system does not say")
    elif octets < MEMORY_NEEDED:
        yield topic.warning(units.size(octets), "build elsewhere (BUILD=here), and lower APP_MEMORY and NGINX_MEMORY")
    elif octets < MEMORY_ENOUGH:
        yield topic.note(f"{units.size(octets)}: enough for one site; a build may need BUILD=here")
    else:
        yield topic.ok(units.size(octets))


def _ports(facts: Mapping[str, Any], values: Mapping[str, str]) -> Findings:
    """What a container publishes is somebody's site, perhaps this one."""
    topic = Topic("ports")
    names = {"HTTP_PORT": 80, "HTTPS_PORT": 443}
    wanted = {
        name: int(values.get(name) or port) for name, port in names.items() if (values.get(name) or "1").isdecimal()
    }
    taken = [port for port in {*wanted.values(), *PORTS} if port in facts["ports"]]
    ours = [port for port in taken if re.search(rf":{port}->", facts["published"])]
    for port in sorted(set(taken) - set(ours)):
        yield topic.warning(
            f"{port} is in use by another program",
            f"there: sudo ss -ltnp 'sport = :{port}' names it; stop it, or set HTTP_PORT and HTTPS_PORT in .env",
        )
    if ours:
        yield topic.note(f"{', '.join(map(str, sorted(ours)))}: published by a container already")
    if not taken:
        yield topic.ok(f"{', '.join(map(str, sorted({*wanted.values(), *PORTS})))} are free")


def _clock(facts: Mapping[str, Any], found: Server | None) -> Finding:
    topic, difference = Topic("clock"), facts["difference"]
    if found and abs(difference) > CLOCK:
        direction = "later than" if difference > 0 else "earlier than"
        text = f"{units.duration(abs(difference))} {direction} this machine's"
        return topic.warning(text, "there: sudo timedatectl set-ntp true; certificates and sessions depend on it")
    if facts["synchronized"] == [0, "no"]:
        return topic.warning("it is not synchronized", "there: sudo timedatectl set-ntp true")
    return topic.ok("right" if facts["synchronized"] == [0, "yes"] else "as this machine's")


def _kernel(facts: Mapping[str, Any]) -> Findings:
    topic, kernel = Topic("kernel"), facts["kernel"]
    problems = []
    if (kernel["net/core/somaxconn"] or "4096").isdecimal() and int(kernel["net/core/somaxconn"] or 4096) < BACKLOG:
        problems.append(
            topic.warning(
                f"net.core.somaxconn is {kernel['net/core/somaxconn']}: a burst of connections is refused",
                "there: echo net.core.somaxconn=4096 | sudo tee /etc/sysctl.d/60-site.conf; sudo sysctl --system",
            )
        )
    if kernel["vm/overcommit_memory"] == "2":
        problems.append(
            topic.note(
                "vm.overcommit_memory is 2: forking servers may lack memory that is free",
                "there: sudo sysctl vm.overcommit_memory=0",
            )
        )
    warnings = facts["warnings"]
    for text in _listed(warnings[1]) if warnings and not warnings[0] else []:
        if re.search("memory limit|cpu|pids", text, re.IGNORECASE) and "swap" not in text:
            problems.append(topic.warning(text.removeprefix("WARNING: "), "the containers' limits need it: cgroups"))
    yield from problems or [topic.ok("its limits are high enough")]


def _listed(text: str) -> list[str]:
    try:
        return [str(each) for each in json.loads(text) or []]
    except ValueError:
        return []
