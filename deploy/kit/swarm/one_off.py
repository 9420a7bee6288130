"""One command in a container of the application's image, as a job of the swarm: for a node that cannot be called."""

import contextlib
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

from kit import compose
from kit.errors import KitError
from kit.release import images
from kit.release.engine import Engine
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output
from kit.release.signals import Signals
from kit.release.site import Site
from kit.swarm import nodes, services
from kit.swarm.files import mount
from kit.swarm.stack import RELEASE_LABEL, Images, Wanted, part, render
from kit.swarm.stack import Stack as Rendered
from kit.swarm.tasks import Stack

ENDED = ("Complete", "Failed", "Rejected", "Orphaned", "Shutdown")


def run(stack: Stack, words: Sequence[str]) -> int:
    """Its exit status; its output is this command's. Raises KitError if it cannot be started."""
    name = f"command-{uuid.uuid4().hex[:6]}"
    with site_of(stack, "manage") as (site, model):
        try:
            return _run(site, name, _service(site, stack, model, name, words))
        finally:
            site.engine.signals.defer()
            services.remove(site, name)


@contextlib.contextmanager
def site_of(stack: Stack, command: str) -> Iterator[tuple[Site, dict[str, Any]]]:
    """And what compose says of it. An error of a release is one of the command."""
    output = Output(command)
    with Signals() as signals:
        engine = Engine(stack.environment, signals, output.show)
        model = compose.model(stack.environment) | {"name": stack.name}
        image = images.read_name(model["services"]["app"]["image"])
        try:
            yield Site(engine, output, stack.name, image, model["services"], stack.values), model
        except InterruptedByUser as interrupted:
            sys.exit(interrupted.exit_status)
        except ReleaseError as error:
            raise KitError(str(error)) from None


def _service(site: Site, stack: Stack, model: Mapping[str, Any], name: str, words: Sequence[str]) -> dict[str, Any]:
    """A stack file with the job alone: `release` with another command, and the image, variables and secrets of the
    application that serves."""
    running = services.inspect(site, "app")
    if not running:
        raise KitError("the stack has no application: make deploy")
    spec = running["Spec"]["TaskTemplate"]["ContainerSpec"]
    content = part(rendered(stack, model, spec["Image"], running["Spec"].get("Labels", {})), ["release"])
    secrets = spec.get("Secrets") or []
    service = {
        **content["services"]["release"],
        "command": [doubled(each) for each in words],
        "environment": dict(doubled(each).split("=", 1) for each in spec.get("Env") or () if "=" in each),
        "secrets": [mount(each["SecretName"], each["File"]["Name"]) for each in secrets],
    }
    external = {each["SecretName"]: {"external": True, "name": each["SecretName"]} for each in secrets}
    return {**content, "services": {name: service}, "secrets": external, "configs": {}}


def rendered(stack: Stack, model: Mapping[str, Any], image: str, labels: Mapping[str, str]) -> Rendered:
    """With one image for all services, of which one is used."""
    several = len(nodes.hosts_of_application(stack.swarm, stack.values)) > 1
    subnet = nodes.subnet_of(f"{stack.name}_back", stack.environment)
    return render(Wanted(model, stack.values, Images(image, image), labels.get(RELEASE_LABEL, ""), 1, several, subnet))


def doubled(text: str) -> str:
    """As the stack file needs it."""
    return text.replace("$", "$$")


def _run(site: Site, name: str, content: Mapping[str, Any]) -> int:
    services.deploy(site, content)
    began = time.monotonic()
    with Printed(site, name) as printed:
        while not (found := services.tasks(site, name)) or found[0].state not in ENDED:
            services.check_pending(found, began, name)
            time.sleep(services.PAUSE)
        status = exit_status(site, found[0].identifier)
        if status is None:
            raise ReleaseError(f"{name}: {found[0].error or found[0].state}")
        printed.complete()
    return status


def exit_status(site: Site, task: str) -> int | None:
    """None: it has not run."""
    said = site.engine.output("inspect", "--type", "task", "--format", "{{json .Status.ContainerStatus}}", task)
    status = json.loads(said) or {}
    return int(status.get("ExitCode", 0)) if status.get("ContainerID") else None


class Printed:
    """What the job prints, on the same stream as there: while it runs, and the rest once it has ended."""

    def __init__(self, site: Site, name: str) -> None:
        self._words = ["docker", "service", "logs", "--raw"]
        self._service = f"{site.project}_{name}"
        self._environment = site.engine.environment
        self._lines = [0, 0]
        """How many are printed of each stream. Written by its thread alone, until that has ended."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*self._words, "--follow", self._service],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is this process's
        )
        streams = (self._process.stdout, self._process.stderr)
        self._threads = [threading.Thread(target=self._copy, args=each, daemon=True) for each in enumerate(streams)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        for thread in self._threads:
            thread.join()
        with self._process:
            pass

    def _copy(self, at: int, stream: IO[bytes]) -> None:
        for line in stream:
            self._write(at, line)

    def _write(self, at: int, line: bytes) -> None:
        target = (sys.stdout, sys.stderr)[at].buffer
        target.write(line)
        target.flush()
        self._lines[at] += 1

    def complete(self) -> None:
        """The job has ended: what follows a log may not have brought its last lines."""
        self.__exit__()
        done = subprocess.run(
            [*self._words, self._service],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        for at, said in enumerate((done.stdout, done.stderr)):
            for line in said.splitlines(keepends=True)[self._lines[at] :]:
                self._write(at, line)
