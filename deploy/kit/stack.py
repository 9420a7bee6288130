"""`make down`, `make left-out`: the kit in Docker."""

from collections.abc import Mapping
from typing import NoReturn

from kit import compose
from kit.console import step


def left_out(environment: Mapping[str, str]) -> int:
    compose.check_docker(environment)
    for line in compose.left_out(environment):
        step(f"Not in the image: {line}")
    return 0


def down(environment: Mapping[str, str]) -> NoReturn:
    compose.replace(["down"], compose.prepare(environment))
