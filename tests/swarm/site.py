"""The site that `make swarm-test` deploys: that of `make prove`, in a swarm."""

import http.client
from collections.abc import Mapping
from pathlib import Path

from kit.prove.site import Site
from kit.prove.traffic import Client
from kit.swarm.services import Count, read_count
from tests.swarm.cluster import Cluster

PORT = 8080


class SwarmSite(Site):
    def __init__(self, folder: Path, environment: Mapping[str, str], cluster: Cluster) -> None:
        super().__init__(folder, environment)
        first, *others = cluster.nodes
        self._manager = first
        self.environment |= {
            "TARGET": "swarm",
            "DOCKER_HOST": first.endpoint,
            "SWARM_NODES": " ".join(node.endpoint for node in others),
            "HTTP_ADDRESS": "0.0.0.0",  # of the containers that are nodes
            "HTTP_PORT": str(PORT),
            "HTTPS_PORT": "8443",
            "APP_REPLICAS": "",
            "START_PATIENCE": "60",
            # a minute less, in an engine without a cache
            "COMPILED": "0",
        }

    def count(self, service: str) -> tuple[int, int]:
        """How many of its containers run, and how many are wanted."""
        found = self._list(service)
        return found.running, found.wanted

    def _list(self, service: str) -> Count:
        full = f"{self.name}_{service}"
        rows = self._manager.docker("service", "ls", "--filter", f"name={full}", "--format", "{{.Replicas}}")
        return read_count(rows)

    def nodes_of(self, service: str) -> set[str]:
        """The names of the nodes on which it runs."""
        listed = self._manager.docker(
            "service",
            "ps",
            "--filter=desired-state=running",
            "--format={{.Node}}\t{{.CurrentState}}",
            f"{self.name}_{service}",
        )
        rows = [line.split("\t") for line in listed.splitlines()]
        return {node for node, state in rows if state.startswith("Running")}

    def ask(self, address: str) -> str:
        connection = http.client.HTTPConnection(address, PORT, timeout=30)
        try:
            connection.request("GET", "/", headers={"Host": "localhost"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def clients_of(self, cluster: Cluster) -> list[Client]:
        """Four kinds, each of which begins with another node, and takes the next if that is away."""
        addresses = [(node.address, PORT) for node in cluster.nodes]
        found = []
        for at in range(4):
            first, *others = addresses[at % len(addresses) :] + addresses[: at % len(addresses)]
            found.append(
                Client(
                    first, is_post=at >= 2, keeps_alive=bool(at % 2), others=tuple(others), interval=0.05, timeout=60
                )
            )
        return found
