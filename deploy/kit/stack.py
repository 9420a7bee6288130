"""`make up`, `make down`, `make logs`: the kit in Docker."""

from collections.abc import Mapping
from typing import NoReturn

from kit import compose, env_files
from kit.console import step
from kit.variables import read


def up(environment: Mapping[str, str]) -> int:
    prepared = compose.prepare(environment)
    compose.check_clashes(prepared)
    # The build prints it too, but not if its steps are cached, and on a terminal only for a moment.
    show_left_out(environment)
    status = compose.call(["up", "--build", "--wait", "--detach"], prepared)
    if status == 0:
        addresses = [f"http://localhost:{compose.published_port(8080, prepared)}"]
        if read("HTTPS", env_files.read_kit(environment)) == "1":
            addresses.append(f"https://localhost:{compose.published_port(8443, prepared)}")
        step(f"Serving {' and '.join(addresses)}  (make logs, make down)")
    return status


def left_out(environment: Mapping[str, str]) -> int:
    compose.check_docker(environment)
    show_left_out(environment)
    return 0


def show_left_out(environment: Mapping[str, str]) -> None:
    for line in compose.left_out(environment):
        step(f"Not in the image: {line}")


def down(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["down"], compose.prepare(environment))


def logs(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["logs", "--follow"], compose.prepare(environment))
