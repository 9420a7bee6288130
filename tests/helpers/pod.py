"""A pod of a rendered manifest, as containers of Docker: what a kubelet would do with it, without one.

The containers share a network namespace, and have the user, capabilities, read-only root, variables, secrets and
volumes of the manifest. Probes and the order of start and stop are the kubelet's: sidecars start first and end last.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.helpers.containers import run, wait_until
from tests.helpers.kubernetes import Manifest


class Pod:
    def __init__(self, spec: Manifest, manifests: list[Manifest], images: Mapping[str, str], folder: Path) -> None:
        """`images`: by the name in the manifest. `folder`: for the content of secrets."""
        self._spec = spec
        self._objects = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
        self._images = images
        self._folder = folder
        self._name = f"ropewalk-test-pod-{secrets.token_hex(4)}"
        self._volumes: dict[str, str] = {}

    @property
    def address(self) -> str:
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return run("docker", "inspect", "--format", template, f"{self._name}-network").stdout.strip()

    def name_of(self, container_name: str) -> str:
        return f"{self._name}-{container_name}"

    def start(self) -> None:
        """Raises AssertionError, with the log, if a container does not start, or a one-shot container fails."""
        self._create_volumes()
        # a tmpfs has its content for as long as a container has it mounted
        held = [f"--volume={volume}:/volumes/{name}" for name, volume in self._volumes.items()]
        network = ("docker", "run", "--detach", "--name", f"{self._name}-network", "--entrypoint", "sleep", *held)
        run(*network, next(iter(self._images.values())), "infinity")
        for each in (*self._spec.get("initContainers", ()), *self._spec["containers"]):
            self._run(each)
            is_once = each in self._spec.get("initContainers", ()) and each.get("restartPolicy") != "Always"
            if is_once or self._spec.get("restartPolicy") == "Never":
                status = run("docker", "wait", self.name_of(each["name"]), timeout=300).stdout.strip()
                assert status == "0", self.logs(each["name"])
            else:
                self._wait_until_started(each)

    def _wait_until_started(self, each: Manifest) -> None:
        try:
            # longer than a kubelet would: the machine may be slow
            wait_until(lambda: self.passes(each, each["startupProbe"]), f"{each['name']} has started", timeout=300)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs(each['name'])}") from None

    def is_ready(self) -> bool:
        probed = [
            each for each in (*self._spec["initContainers"], *self._spec["containers"]) if "readinessProbe" in each
        ]
        return all(self.passes(each, each["readinessProbe"]) for each in probed)

    def passes(self, each: Manifest, probe: Mapping[str, Any]) -> bool:
        """Whether a probe succeeds now."""
        ports = {port["name"]: port["containerPort"] for port in each["ports"]}
        if "exec" in probe:
            done = run("docker", "exec", self.name_of(each["name"]), *probe["exec"]["command"], check=False)
            return done.returncode == 0
        asked = probe["httpGet"]
        try:
            status = self.get(asked["path"], ports[asked["port"]], timeout=probe["timeoutSeconds"])
        except OSError:
            return False
        return 200 <= status < 400

    def get(self, path: str, port: int, timeout: float = 60) -> int:
        """The status of a response. As a kubelet, or the ingress, asks: at the pod's address."""
        connection = http.client.HTTPConnection(self.address, port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status

    def stop(self, at_last: Callable[[], None]) -> dict[str, int]:
        """The end of a pod. Calls `at_last` at the end of preStop, while all of it still serves.

        Returns the exit statuses, in their order.
        """
        ends = time.monotonic() + self._spec["terminationGracePeriodSeconds"]
        sidecars = [each for each in self._spec["initContainers"] if each.get("restartPolicy") == "Always"]
        statuses = {}
        for each in (*self._spec["containers"], *reversed(sidecars)):
            if delay := each.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds"):
                time.sleep(delay)
                at_last()
            name, left = self.name_of(each["name"]), max(0, int(ends - time.monotonic()))
            run("docker", "stop", "--time", str(left), name, timeout=left + 60)
            statuses[each["name"]] = int(run("docker", "inspect", "--format", "{{.State.ExitCode}}", name).stdout)
        return statuses

    def logs(self, container_name: str) -> str:
        done = run("docker", "logs", self.name_of(container_name))
        return done.stdout + done.stderr

    def remove(self) -> None:
        names = [each["name"] for each in (*self._spec.get("initContainers", ()), *self._spec["containers"])]
        containers = [self.name_of(name) for name in (*names, "network")]
        run("docker", "rm", "--force", *containers, check=False)
        run("docker", "volume", "rm", "--force", *self._volumes.values(), check=False)

    def _run(self, each: Manifest) -> None:
        own, pod = each["securityContext"], self._spec["securityContext"]
        assert pod["runAsNonRoot"], "the kubelet would allow root"
        options = [f"--user={pod['runAsUser']}:{pod['runAsGroup']}", f"--group-add={pod['fsGroup']}"]
        options += ["--read-only"] if own["readOnlyRootFilesystem"] else []
        options += ["--security-opt=no-new-privileges"] if not own["allowPrivilegeEscalation"] else []
        options += [f"--cap-drop={name}" for name in own["capabilities"]["drop"]]
        limits = each["resources"]["limits"]
        options += [f"--cpus={limits['cpu']}", f"--memory={limits['memory'].removesuffix('i').lower()}"]
        options += [f"--env={name}={value}" for name, value in self._variables(each).items()]
        for mount in each["volumeMounts"]:
            flags = ":ro" if mount.get("readOnly") else ""
            options.append(f"--volume={self._volumes[mount['name']]}:{mount['mountPath']}{flags}")
        network = f"--network=container:{self._name}-network"
        image = self._images[each["image"]]
        name = self.name_of(each["name"])
        run("docker", "run", "--detach", "--name", name, network, *options, image, *each.get("args", ()))

    def _variables(self, each: Manifest) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in each.get("envFrom", ()):
            found |= self._objects["ConfigMap", source["configMapRef"]["name"]].get("data", {})
        # what the manifest leaves to the cluster: the names of the node and of the pod
        return found | {variable["name"]: variable.get("value", self._name) for variable in each.get("env", ())}

    def _create_volumes(self) -> None:
        for each in self._spec["volumes"]:
            if "secret" in each:
                self._volumes[each["name"]] = str(self._write_secret(each["secret"]))
                continue
            self._volumes[each["name"]] = name = f"{self._name}-{each['name']}"
            size = each["emptyDir"]["sizeLimit"].removesuffix("i").lower()
            options = ("type=tmpfs", "device=tmpfs", f"o=size={size},mode=0777")
            run("docker", "volume", "create", *(f"--opt={option}" for option in options), name)

    def _write_secret(self, secret: Manifest) -> Path:
        folder: Path = self._folder / secret["secretName"]
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        found = self._objects.get(("Secret", secret["secretName"]))
        assert found or secret.get("optional"), "the kubelet would wait for it"
        for name, value in (found or {"data": {}})["data"].items():
            file = folder / name
            file.write_bytes(base64.b64decode(value))
            os.chown(file, -1, self._spec["securityContext"]["fsGroup"])
            file.chmod(secret["defaultMode"])
        return folder


@contextlib.contextmanager
def pod_of(manifest: Manifest, manifests: list[Manifest], images: Mapping[str, str], folder: Path) -> Iterator[Pod]:
    """Of a Deployment or a Job; not started."""
    pod = Pod(manifest["spec"]["template"]["spec"], manifests, images, folder)
    try:
        yield pod
    finally:
        pod.remove()
