"""`make up`, `make down`, `make logs`: the kit in Docker."""

from collections.abc import Mapping
from typing import NoReturn

from kit import compose, env_files
from kit.console import step
from kit.variables import read


def up(environment: Mapping[str, str]) -> int:
    prepared = compose.prepare(environment)
    compose.check_clashes(prepared)
    status = compose.call(["up", "--build", "--wait", "--detach"], prepared)
    if status == 0:
        addresses = [f"http://localhost:{compose.published_port(8080, prepared)}"]
        if read("HTTPS", env_files.read_kit(environment)) == "1":
            addresses.append(f"https://localhost:{compose.published_port(8443, prepared)}")
        step(f"Serving {' and '.join(addresses)}  (make logs, make down)")
    return status


def down(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["down"], compose.prepare(environment))


def logs(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["logs", "--follow"], compose.prepare(environment))
