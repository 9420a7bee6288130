"""`make up`, `make down`: the kit in Docker."""

import sys
from collections.abc import Mapping
from typing import NoReturn

from kit import compose, env_files, failures
from kit.console import step
from kit.variables import read


def start(environment: Mapping[str, str], prepared: Mapping[str, str]) -> int:
    """Builds the images and starts the services. `prepared` is what compose.prepare returned, without clashes."""
    # The build prints it too, but not if its steps are cached, and on a terminal only for a moment.
    show_left_out(environment)
    status = build(prepared)
    if status:
        return status
    before = compose.inspect(prepared)
    status = compose.call(["up", "--no-build", "--wait", "--detach"], prepared)
    if status:
        report(prepared, before)
    else:
        addresses = [f"http://localhost:{compose.published_port(8080, prepared)}"]
        if read("HTTPS", env_files.read_kit(environment)) == "1":
            addresses.append(f"https://localhost:{compose.published_port(8443, prepared)}")
        step(f"Serving {' and '.join(addresses)}  (make logs, make down)")
    return status


def build(prepared: Mapping[str, str]) -> int:
    """Ends with the reason, if the kit's own steps know it: BuildKit prints lines of its own after it."""
    status, output = compose.call_and_keep(["build"], prepared)
    if status and (reason := failures.of_build(output)):
        complain(f"up: the image cannot be built: {reason.partition(': ')[2]}")
    return status


def report(prepared: Mapping[str, str], before: list[failures.Container]) -> None:
    """The last lines of the service that failed, then the reason and the next command."""
    container = failures.failed(compose.inspect(prepared), before)
    if container is None:
        return  # compose itself has said what it could not do
    failure = failures.explain(container, compose.log(container.identifier, prepared))
    if failure.lines:
        complain(f"The last lines of {failure.service}, without tracebacks:")
    for line in failure.lines:
        complain(f"    {line}")
    project = compose.project_name(prepared)
    complain(f"The whole log: docker compose -p {project} logs {failure.service}")
    complain(f"up: {failure.service}: {failure.reason}")


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def left_out(environment: Mapping[str, str]) -> int:
    compose.check_docker(environment)
    show_left_out(environment)
    return 0


def show_left_out(environment: Mapping[str, str]) -> None:
    for line in compose.left_out(environment):
        step(f"Not in the image: {line}")


def down(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["down"], compose.prepare(environment))
