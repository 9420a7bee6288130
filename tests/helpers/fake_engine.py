"""A small engine in memory, for deployments: containers, tags of images, and nginx with its watcher.

After each command it checks what matters: nginx's list has a container that serves, and none in it was just taken away.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kit.release import answers
from kit.release.engine import Done, Engine
from kit.release.errors import ConnectionLost
from kit.release.signals import Signals

OK = Done(0, "", "")
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"


class Killed(BaseException):
    """The command was killed with SIGKILL: not one more call reaches the engine."""


@dataclass
class FakeContainer:
    identifier: str
    name: str
    image: str
    service: str = ""
    number: int = 0
    state: str = "running"
    health: str = "healthy"
    restarts: int = 0
    exit_status: int = 0
    address: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    """Of the machine, by those of the container, such as 8080/tcp."""

    @property
    def serves(self) -> bool:
        return self.state == "running" and self.health == "healthy"

    def inspected(self) -> dict[str, Any]:
        labels = {PROJECT: "shop", SERVICE: self.service, "com.docker.compose.container-number": str(self.number)}
        networks = {"shop_back": {"NetworkID": "back", "IPAddress": self.address}}
        return {
            "Id": self.identifier,
            "Name": f"/{self.name}",
            "Image": self.image,
            "RestartCount": self.restarts,
            "Config": {"Labels": labels if self.service else self.labels, "StopTimeout": 45},
            "State": {"Status": self.state, "ExitCode": self.exit_status, "Health": {"Status": self.health}},
            "NetworkSettings": {
                "Networks": networks if self.state == "running" else {},
                "Ports": {name: [{"HostIp": "127.0.0.1", "HostPort": port}] for name, port in self.ports.items()},
            },
        }


class FakeEngine(Engine):
    def __init__(self, replicas: int = 1) -> None:
        super().__init__({}, Signals(), lambda _: None)
        self.tags = {"shop-app:latest": "sha256:1"}
        self.containers: dict[str, FakeContainer] = {}
        self.calls: list[str] = []
        self.broken: list[str] = []
        """What no request may meet, in the order of the calls."""
        self.failing: dict[str, Callable[[], Done]] = {}
        """Calls that start with this get this result, and have no effect."""
        self.at: dict[int, Callable[[], object]] = {}
        """What happens before a call, by its number."""
        self.new_health = "healthy"
        """Of the containers of the application that are started from now on."""
        self.new_state = "running"
        self.migrations: dict[str, list[str]] = {}
        """Those that the project.json of an image names, by its id."""
        self.changed: list[str] = []
        """The names of the containers that compose would replace."""
        self.restriction: set[str] | None = None
        self.asked_with: list[tuple[str, list[str]]] = []
        """The variables that each health check was given, instead of nginx's own."""
        self.used: set[str] = set()
        """The addresses in nginx's list."""
        self.pages: dict[str, int] = {}
        """The status of the page `/` of an image, by its id; otherwise 200."""
        self.is_maintained = False
        self.published = ""
        """What the last release left for nginx (release.describe)."""
        self.changes_files = False
        """A release has other files than nginx serves, under the same names."""
        self.digests: dict[str, str] = {}
        """Of the files of an image, in its project.json, by its id."""
        self.printed = b""
        """What a program prints piece by piece."""
        self.is_unreachable = False
        """The connection to it is lost."""
        self.is_dead = False
        self._next = 1
        for number in range(1, replicas + 1):
            self.add("app", number)
        self.add("nginx", 1)
        self._watch()

    def add(self, service: str, number: int, **values: Any) -> FakeContainer:
        self._next += 1
        container = FakeContainer(
            identifier=f"{self._next:012x}",
            name=f"shop-{service}-{number}",
            service=service,
            number=number,
            image=self.tags["shop-app:latest"] if service == "app" else "sha256:nginx",
            address=f"10.0.0.{self._next}",
        )
        for name, value in values.items():
            setattr(container, name, value)
        self.containers[container.identifier] = container
        return container

    def application(self) -> list[FakeContainer]:
        return [container for container in self.containers.values() if container.service == "app"]

    # --- the engine's interface

    def run(
        self,
        *arguments: str,
        timeout: float = 60,
        show: bool | Callable[[bytes], None] = False,
        merge: bool = False,
        environment: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Done:
        self._count()
        self.signals.check()
        text = " ".join(arguments)
        self.calls.append(text)
        for start, result in self.failing.items():
            if text.startswith(start):
                return result()
        if callable(show):
            show(self.printed)
        method = getattr(self, "_" + arguments[0].replace("-", "_"), None)
        if method is None:
            raise AssertionError(f"the fake engine does not know: docker {text}")
        if meanwhile:
            meanwhile()
        done: Done = method(list(arguments[1:]), dict(environment or {}))
        self._watch()
        self._check(text)
        return done

    def together(self, calls: Sequence[Sequence[str]], timeout: float) -> list[Done]:
        return [self.run(*call) for call in calls]

    @contextmanager
    def beside(self, *arguments: str, timeout: float = 60) -> Iterator[Callable[[], Done]]:
        done = self.run(*arguments)
        yield lambda: done

    def _count(self) -> None:
        if self.is_dead:
            raise Killed
        if self.is_unreachable:
            raise ConnectionLost("error during connect")
        if action := self.at.pop(len(self.calls), None):
            action()
        if self.is_dead:
            raise Killed
        if self.is_unreachable:
            raise ConnectionLost("error during connect")

    # --- nginx

    def _watch(self) -> None:
        serving = {container.address for container in self.application() if container.serves}
        allowed = serving & self.restriction if self.restriction else serving
        if self.restriction and not allowed:
            self.restriction, allowed = None, serving
        self.used = allowed or self.used

    def _check(self, text: str) -> None:
        if not any(container.address in self.used and container.serves for container in self.application()):
            self.broken.append(text)

    def _take_away(self, container: FakeContainer) -> None:
        if container.service == "app" and container.serves and container.address in self.used:
            self.broken.append(f"{container.name} was taken away while nginx sent requests to it")

    # --- commands

    def _ps(self, arguments: list[str], _: dict[str, str]) -> Done:
        service = next((word.rpartition("=")[2] for word in arguments if SERVICE in word), "")
        found = [
            each.identifier
            for each in self.containers.values()
            if each.service and each.service == (service or each.service)
        ]
        return Done(0, "\n".join(found), "")

    def _container(self, arguments: list[str], _: dict[str, str]) -> Done:
        if arguments[1] == "--format":
            found = [each for each in map(self._find, arguments[3:]) if each]
            lines = []
            for each in found:
                label = next((value for name, value in each.labels.items() if name in arguments[2]), "")
                first = f"{each.identifier}\n2026-11-29T08:00:00\n" if ".Id" in arguments[2] else f"/{each.name} "
                lines.append(f"{first}{label}\n")
            return Done(0 if len(found) == len(arguments[3:]) else 1, "".join(lines) or "\n", "No such container")
        inspected = [self.containers[each].inspected() for each in arguments[1:] if each in self.containers]
        return Done(0 if len(inspected) == len(arguments) - 1 else 1, json.dumps(inspected), "")

    def _image(self, arguments: list[str], _: dict[str, str]) -> Done:
        if arguments[0] == "rm":
            return OK if self.tags.pop(arguments[1], "") else Done(1, "", "No such image")
        name = arguments[-1]
        identifier = name if name.startswith("sha256:") else self.tags.get(name, "")
        if not identifier:
            return Done(1, "", "No such image")
        return Done(0, "2026-11-28T10:00:00.123Z" if "Created" in arguments[2] else identifier, "")

    def _images(self, _: list[str], __: dict[str, str]) -> Done:
        rows = [f"{name.rpartition(':')[2]}\t{identifier}\t200MB" for name, identifier in self.tags.items()]
        return Done(0, "\n".join(rows), "")

    def _tag(self, arguments: list[str], _: dict[str, str]) -> Done:
        self.tags[arguments[1]] = arguments[0]
        return OK

    def _create(self, arguments: list[str], environment: dict[str, str]) -> Done:
        name = arguments[1]
        if self._find(name):
            return Done(1, "", f'Conflict. The container name "/{name}" is already in use by container "x".')
        label, _, value = (
            next(word for word in arguments if word.startswith("--label=")).removeprefix("--label=").partition("=")
        )
        container = self.add("", 0, name=name, state="created", labels={label: value})
        return Done(0, container.identifier, "")

    def _rename(self, arguments: list[str], _: dict[str, str]) -> Done:
        found = self._find(arguments[0])
        if found is None:
            return Done(1, "", "No such container")
        found.name = arguments[1]
        return OK

    def _rm(self, arguments: list[str], _: dict[str, str]) -> Done:
        status = 0
        for word in arguments:
            if not word.startswith("--"):
                if found := self._find(word):
                    self._take_away(found)
                    del self.containers[found.identifier]
                else:
                    status = 1
        return Done(status, "", "")

    def _stop(self, arguments: list[str], _: dict[str, str]) -> Done:
        found = self._find(arguments[0])
        if found:
            self._take_away(found)
            found.state = "exited"
        return OK

    def _start(self, arguments: list[str], _: dict[str, str]) -> Done:
        for word in arguments:
            container = self.containers[word]
            container.state, container.health = self.new_state, self.new_health
        return OK

    def _logs(self, _: list[str], __: dict[str, str]) -> Done:
        return Done(0, "loading\nropewalk: the application cannot be loaded\n", "")

    def _run(self, arguments: list[str], _: dict[str, str]) -> Done:
        return self._project(self.tags[arguments[-2]])

    def _project(self, image: str) -> Done:
        if image not in self.migrations:
            return Done(1, "", "no such file")
        said = {"migrations": self.migrations[image], "files_digest": self.digests.get(image, "")}
        return Done(0, json.dumps(said), "")

    def _exec(self, arguments: list[str], _: dict[str, str]) -> Done:
        given = []
        while arguments[0] == "--env":
            given.append(arguments[1])
            arguments = arguments[2:]
        if arguments[1:] == ["cat", answers.PUBLISHED]:
            return Done(0, self.published, "")
        if arguments[1] == "cat":
            return self._project(self.containers[arguments[0]].image)
        if arguments[1] == "/kit/bin/maintenance":
            return Done(0 if self.is_maintained else 1, "", "")
        if arguments[1] == "timeout":  # of a page
            image = next(each.image for each in self.application() if each.serves and each.address == arguments[-3])
            return Done(0, f"Host: localhost\nHTTP/1.1 {self.pages.get(image, 200)} x\n", "")
        action, rest = (arguments[2], arguments[3:]) if arguments[1] == "/kit/bin/switch" else ("", [])
        serving = {container.address for container in self.application() if container.serves}
        if action in ("ready", "to"):
            self.asked_with.append((action, given))
        if action in ("ready", "to") and not set(rest[1:]) <= serving:
            return Done(1, "GET /healthz: HTTP/1.1 500 Internal Server Error", "")
        if action == "to":
            self.restriction = set(rest[1:])
            self.used = set(rest[1:])
        if action == "free":
            self.restriction = None
        return OK

    def _compose(self, arguments: list[str], environment: dict[str, str]) -> Done:
        if arguments[0] == "build":
            if name := environment.get("APP_IMAGE"):
                self.tags[name] = f"sha256:{len(self.calls)}"
            return OK
        if arguments[0] == "--dry-run":
            return Done(0, "", "".join(f" DRY-RUN MODE -  Container {name}  Recreate\n" for name in self.changed))
        if arguments[0] == "run" and "--name" in arguments:
            name = arguments[arguments.index("--name") + 1]
            if self._find(name):
                return Done(125, "", f'Conflict. The container name "/{name}" is already in use by container "x".')
        if (
            arguments[0] == "run"
            and arguments[-1] == "release"
            and not (self.changes_files and "ONLY_NEW_FILES=1" in arguments)
        ):
            self.published = f"FILES={self.digests.get(self.tags[environment['APP_IMAGE']], '')}\n"
        if arguments[0] == "create" and arguments[-1] == "app":
            wanted = int(next(word for word in arguments if word.startswith("--scale")).rpartition("=")[2])
            while len(self.application()) < wanted:
                number = max((container.number for container in self.application()), default=0) + 1
                self.add("app", number, health="starting", state="created")
        return OK

    def _find(self, wanted: str) -> FakeContainer | None:
        found = (each for each in self.containers.values() if wanted in (each.identifier, each.name))
        return next(found, None)
