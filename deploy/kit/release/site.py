"""What a deployment works on: a compose project in an engine."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kit import times
from kit.release import containers, images
from kit.release.containers import Container
from kit.release.engine import Engine
from kit.release.errors import ReleaseError
from kit.release.output import Output
from kit.release.proxy import Proxy
from kit.remote import server
from kit.remote.server import Server
from kit.variables import read, read_integer

HEALTH_CHECK = ("HEALTH_PATH", "ALLOWED_HOSTS")
"""nginx's variables for its health checks of the application."""
ONE_SHOT = "release"
"""The service that publishes static files and migrates."""


class Site(NamedTuple):
    engine: Engine
    output: Output
    project: str
    """The compose project's name."""
    image: images.Image
    services: Mapping[str, Any]
    """Those that are active, from `docker compose config`."""
    values: Mapping[str, str]
    """The kit's variables: of the environment and of .env."""
    build_options: tuple[str, ...] = ()
    """Of `docker compose build`."""

    def containers(self) -> list[Container]:
        """The application's, also those that have ended."""
        return containers.find(self.engine, self.project, "app")

    def proxy(self) -> Proxy | None:
        """None if nginx does not run."""
        return self._proxy(containers.find(self.engine, self.project, "nginx"))

    def look(self) -> tuple[list[Container], Proxy | None]:
        """Both at once: the application's containers, and nginx."""
        found = containers.find(self.engine, self.project)
        application = [each for each in found if each.service == "app"]
        return application, self._proxy([each for each in found if each.service == "nginx"])

    def _proxy(self, found: list[Container]) -> Proxy | None:
        running = [each for each in found if each.state == "running"]
        return Proxy(self.engine, running[0]) if running else None

    def require_proxy(self) -> Proxy:
        return required(self.proxy())

    @property
    def server(self) -> Server | None:
        """Where the engine is; None: on this machine."""
        return server.of(self.engine.environment)

    @property
    def health_check(self) -> dict[str, str]:
        """nginx's variables for its health checks of the application, as they are configured now.

        nginx itself may run with others from before: new containers are not measured by these, and a wrong value ends a
        deployment before nginx gets it.
        """
        given = self.services.get("nginx", {}).get("environment") or {}
        return {name: given.get(name) or "" for name in HEALTH_CHECK}

    @property
    def patience(self) -> int:
        """Seconds until a new container has to be ready."""
        return read_integer("START_PATIENCE", self.values)

    @property
    def drain_timeout(self) -> int:
        """Seconds in which nginx's old workers end; at most, since it then ends them."""
        return times.chain(self.values)["NGINX_SHUTDOWN_TIMEOUT"] + 2

    @property
    def replicas(self) -> int | None:
        """How many containers of the application are wanted; None: as many as there are."""
        given = read("APP_REPLICAS", self.values)
        return int(given) if given else None

    @property
    def other_services(self) -> list[str]:
        """Those that a deployment starts beside the application and nginx."""
        return sorted(set(self.services) - {"app", "nginx", ONE_SHOT})

    @property
    def servers(self) -> list[str]:
        """Those of them that run another image than the application's, such as a database."""
        own = self.services["app"].get("image")
        return [name for name in self.other_services if self.services[name].get("image") != own]


def required(proxy: Proxy | None) -> Proxy:
    if proxy is None:
        raise ReleaseError("nginx has stopped: make logs SERVICE=nginx")
    return proxy
