"""nginx's side of a deployment: nginx/switch, called in its container."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from kit.release.containers import Container, shared_address
from kit.release.engine import Done, Engine
from kit.release.errors import ReleaseError

SWITCH = "/kit/bin/switch"
MAINTENANCE = ("/kit/bin/maintenance", "status")
NOT_THERE = (126, 127)
"""Exit statuses of a container without this program: that of an earlier version of the kit."""


class Proxy:
    def __init__(self, engine: Engine, nginx: Container) -> None:
        self.engine = engine
        self.nginx = nginx

    def addresses(self, containers: list[Container]) -> list[str]:
        """Where nginx reaches them. Raises ReleaseError."""
        found = []
        for container in containers:
            address = shared_address(container, self.nginx)
            if not address:
                raise ReleaseError(f"{container.name} has no address on a network that nginx is on")
            found.append(address)
        return found

    @property
    def is_serving(self) -> bool:
        """nginx has found the application."""
        return self.engine.succeeds("exec", self.nginx.identifier, "/kit/bin/probe", "127.0.0.1", "8081", "/health")

    @property
    def is_maintained(self) -> bool:
        """Visitors get the page of a maintenance."""
        return self.engine.succeeds("exec", self.nginx.identifier, *MAINTENANCE)

    def ask(self, command: Sequence[str]) -> str:
        """What the command prints in nginx's container."""
        return self.engine.run("exec", self.nginx.identifier, *command).output

    def wait_ready(
        self,
        containers: list[Container],
        timeout: int,
        meanwhile: Callable[[], None],
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """`environment`: what the health checks take instead of nginx's own variables."""
        command = ("ready", str(timeout), *self.addresses(containers))
        return self._call(*command, timeout=timeout + 30, meanwhile=meanwhile, environment=environment)

    def use(
        self,
        containers: list[Container],
        seconds: int,
        *,
        or_not_there: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> bool:
        """nginx sends requests to these alone, for so long. Raises ReleaseError if it does not.

        `or_not_there`: False instead, if its container is of an earlier version of the kit.
        """
        done = self._call("to", str(seconds), *self.addresses(containers), timeout=60, environment=environment)
        if or_not_there and done.status in NOT_THERE:
            return False
        if done.status:
            raise ReleaseError(f"nginx cannot be switched: {done.reason}")
        return True

    def drain(self, timeout: int, meanwhile: Callable[[], None] | None = None) -> bool:
        """Waits until nginx has nothing more to send to the containers before; False if that takes longer."""
        return self._call("drained", str(timeout), timeout=timeout + 30, meanwhile=meanwhile).status == 0

    def free(self) -> None:
        self._call("free", timeout=30)

    @contextmanager
    def freed(self) -> Iterator[None]:
        """The same while something else is done."""
        with self.engine.beside("exec", self.nginx.identifier, SWITCH, "free", timeout=30) as ended:
            yield
            ended()

    def _call(
        self,
        *arguments: str,
        timeout: float,
        meanwhile: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        given = [word for name, value in (environment or {}).items() for word in ("--env", f"{name}={value}")]
        command = ("exec", *given, self.nginx.identifier, SWITCH, *arguments)
        return self.engine.run(*command, timeout=timeout, meanwhile=meanwhile)


def every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """A function that calls `call`, but not more often than that."""
    last = [float("-inf")]

    def called() -> None:
        if time.monotonic() - last[0] >= seconds:
            last[0] = time.monotonic()
            call()

    return called
