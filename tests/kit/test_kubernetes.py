"""The manifests in deploy/kubernetes: rendered, held against the API's schemas, and against what the kit promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from kit import times
from tests.helpers.kubernetes import OVERLAYS, SECRETS, Manifest, Overlays, container, containers, pods, the
from tests.helpers.paths import REPOSITORY

OLDEST = "1.30"
"""The oldest version with sidecars and `preStop.sleep`, as docs/kubernetes.md says."""
STEPS = ("before", "release", None)
"""The values of the label by which `deploy` takes the manifests, in order."""


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory) -> Overlays:
    return Overlays.copy(tmp_path_factory.mktemp("kubernetes") / "kubernetes")


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(overlays: Overlays, request: pytest.FixtureRequest) -> list[Manifest]:
    return overlays.render(request.param)


def web(manifests: list[Manifest]) -> Manifest:
    pod: Manifest = the(manifests, "Deployment", "app")["spec"]["template"]["spec"]
    return pod


def variables(container: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}


def mebibytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(m|g|Mi|Gi)", size).groups()
    return int(number) * (1024 if unit in ("g", "Gi") else 1)


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_every_manifest_is_valid(manifests: list[Manifest], version: str) -> None:
    for each in manifests:
        kubernetes_validate.validate(each, version, strict=True)


def test_validation_finds_a_field_that_does_not_exist(manifests: list[Manifest]) -> None:
    job = the(manifests, "Job", "release")
    wrong = job | {"spec": job["spec"] | {"backofLimit": 0}}
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


@pytest.mark.parametrize("component", ["media", "queue-time"])
def test_components_are_valid(tmp_path: Path, component: str) -> None:
    overlays = Overlays.copy(tmp_path / "kubernetes")
    folder = overlays.folder / "overlays/with-component"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(
        f"resources: [../production]\ncomponents: [../../components/{component}]\n"
        if component != "media"
        else "resources: [../development]\ncomponents: [../../components/media]\n"
    )
    rendered = overlays.render("with-component")
    for each in rendered:
        kubernetes_validate.validate(each, OLDEST, strict=True)
    if component == "media":
        for name, pod in pods(rendered):
            claims = {each.get("persistentVolumeClaim", {}).get("claimName") for each in pod["volumes"]}
            assert ("media" in claims) == (name != "postgres")
    else:
        metrics = the(rendered, "HorizontalPodAutoscaler", "app")["spec"]["metrics"]
        assert [each["type"] for each in metrics] == ["ContainerResource", "Pods"]


def test_missing_secrets_are_named(tmp_path: Path) -> None:
    done = Overlays.copy(tmp_path / "kubernetes", {}).run("production")
    assert done.returncode != 0
    assert "secrets/SECRET_KEY: no such file" in done.stderr


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    """The profile `restricted` of the Pod Security Standards, which the namespace enforces, and more."""
    labels = the(manifests, "Namespace", "site")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(manifests):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == 10001, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for each in containers(pod):
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, each["name"]
            assert {"cpu", "memory"} == set(each["resources"]["limits"]), each["name"]


def test_services_set_no_variable_of_the_kit(manifests: list[Manifest]) -> None:
    """Otherwise the Service "app" would set APP_PORT to tcp://..."""
    assert all(pod["enableServiceLinks"] is False for _, pod in pods(manifests))


def test_times_are_those_of_the_chain(manifests: list[Manifest]) -> None:
    pod, settings = web(manifests), the(manifests, "ConfigMap", "site")["data"]
    delay = container(pod, "nginx")["lifecycle"]["preStop"]["sleep"]["seconds"]
    chain = times.chain(settings)
    grace = pod["terminationGracePeriodSeconds"]
    assert grace == chain["KUBERNETES_GRACE"]
    assert delay == chain["DRAIN_DELAY"]
    server = container(pod, "app")
    # first nginx, then the server, whose requests have ended by then
    assert variables(server)["DRAIN_DELAY"] == "0"
    assert delay + chain["NGINX_SHUTDOWN_TIMEOUT"] + 10 <= grace
    # the images check this one against REQUEST_TIMEOUT
    for name in ("app", "nginx"):
        assert variables(container(pod, name))["STOP_GRACE_PERIOD"] == f"{grace}s"


def test_server_is_process_1_and_ends_after_nginx(manifests: list[Manifest]) -> None:
    pod = web(manifests)
    assert container(pod, "app")["args"] == ["server"]
    assert [each["name"] for each in pod["initContainers"]] == ["static", "app"]
    assert container(pod, "app")["restartPolicy"] == "Always"  # a sidecar: it ends after the containers
    assert [each["name"] for each in pod["containers"]] == ["nginx"]


def test_probes_ask_the_admin_listener(manifests: list[Manifest]) -> None:
    server = container(web(manifests), "app")
    ports = {each["name"]: each["containerPort"] for each in server["ports"]}
    assert variables(server)["ADMIN_BIND"] == f"0.0.0.0:{ports['admin']}"
    asked = {kind: server[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert asked == {
        "startup": {"path": "/readyz", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
    }


def test_rooms_are_those_of_compose(manifests: list[Manifest], compose_file: dict[str, Any]) -> None:
    pod = web(manifests)
    sizes = {each["name"]: each.get("emptyDir", {}).get("sizeLimit") for each in pod["volumes"]}
    for name in ("app", "nginx"):
        service, each = compose_file["services"][name], container(pod, name)
        places = {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}
        for line in service["tmpfs"]:
            path, size = re.fullmatch(r"([^:]+):size=(?:\$\{\w+:-)?(\w+)\}?,.*", line).groups()
            assert mebibytes(sizes[places[path]]) == mebibytes(size), path
        memory = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", service["mem_limit"])
        assert mebibytes(each["resources"]["limits"]["memory"]) == mebibytes(memory), name


def test_variables_are_the_kits(manifests: list[Manifest]) -> None:
    example = (REPOSITORY / ".env.example").read_text() + (REPOSITORY / "deploy/app/variables").read_text()
    internal = {"ASSETS_DIR", "ONLY_STATIC_FILES", "SEVERAL_HOSTS", "STOP_GRACE_PERIOD"}
    given = set(the(manifests, "ConfigMap", "site")["data"]) - internal
    for _, pod in pods(manifests):
        given |= {name for each in containers(pod) for name in variables_of(each)} - internal
    unknown = {name for name in given if not re.search(rf"\b{name.removesuffix('_FILE')}\b", example)}
    assert not unknown - {"POSTGRES_PASSWORD_FILE"}


def variables_of(each: Manifest) -> list[str]:
    return [variable["name"] for variable in each.get("env", ())]


def test_secrets_are_files(manifests: list[Manifest]) -> None:
    data = the(manifests, "Secret", "site")["data"]
    assert set(data) == set(SECRETS)
    for _, pod in pods(manifests):
        for each in containers(pod):
            assert not {each["name"] for each in each.get("env", ())} & {
                *SECRETS,
                *(f"{name}_FILE" for name in SECRETS),
            }
    # where the image looks for files that are variables (deploy/app/kit.sh)
    for kind, name, of in (("Deployment", "app", "app"), ("Job", "release", "release")):
        pod = the(manifests, kind, name)["spec"]["template"]["spec"]
        places = {mount["name"]: mount["mountPath"] for mount in container(pod, of)["volumeMounts"]}
        volumes = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
        found = {secret["secretName"].partition("-")[0]: places[name] for name, secret in volumes.items()}
        assert found == {"site": "/run/secrets/site", "project": "/run/secrets/project"}
        assert {secret["secretName"] for secret in volumes.values() if secret.get("optional")} == {"project"}


@pytest.mark.parametrize("changed", ["site.env", "secrets/DATABASE_URL"])
def test_changed_value_starts_new_pods_and_leaves_the_old_one(tmp_path: Path, changed: str) -> None:
    overlays = Overlays.copy(tmp_path / "kubernetes")
    before = overlays.render("production")
    with (overlays.folder / "overlays/production" / changed).open("a") as file:
        file.write("THREADS=8\n")
    after = overlays.render("production")
    kind = "ConfigMap" if changed.endswith(".env") else "Secret"
    assert the(before, kind, "site")["metadata"]["name"] != the(after, kind, "site")["metadata"]["name"]
    assert web(before) != web(after)
    assert the(before, "Job", "release")["spec"] != the(after, "Job", "release")["spec"]


def test_what_the_release_step_needs_is_there_before_it(manifests: list[Manifest]) -> None:
    step = {(each["kind"], each["metadata"]["name"]): step_of(each) for each in manifests}
    assert {name for (_, name), value in step.items() if value == "release"} == {"release"}
    pod = the(manifests, "Job", "release")["spec"]["template"]["spec"]
    needed = {("ConfigMap", each["configMapRef"]["name"]) for each in pod["containers"][0]["envFrom"]}
    secrets = [each["secret"] for each in pod["volumes"] if "secret" in each]
    needed |= {("Secret", each["secretName"]) for each in secrets if not each.get("optional")}
    claims = (each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each)
    needed |= {("PersistentVolumeClaim", each["claimName"]) for each in claims}
    needed |= {name for name in step if name[0] in ("Namespace", "NetworkPolicy")}
    assert {step[each] for each in needed} == {"before"}
    assert step["Deployment", "app"] is None


def step_of(manifest: Manifest) -> str | None:
    step: str | None = manifest["metadata"].get("labels", {}).get("ropewalk/step")
    assert step in STEPS
    return step


def test_network_is_closed_but_for_what_is_named(manifests: list[Manifest]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    named = {port["name"] for _, pod in pods(manifests) for each in containers(pod) for port in each.get("ports", ())}
    for name, spec in policies.items():
        for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
            assert rule["ports"], name
            assert {each["port"] for each in rule["ports"] if isinstance(each["port"], str)} <= named, name
    # the server's own port is for the nginx of its pod alone
    assert {each["port"] for rule in policies["app"]["ingress"] for each in rule["ports"]} == {
        "http",
        "admin",
        "nginx-status",
    }


def test_pods_are_spread_scaled_and_not_all_evicted(manifests: list[Manifest]) -> None:
    labels = the(manifests, "Deployment", "app")["spec"]["template"]["metadata"]["labels"]
    pod, budget = web(manifests), the(manifests, "PodDisruptionBudget", "app")["spec"]
    assert budget["maxUnavailable"] == 1
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    selectors = [budget["selector"], *(each["labelSelector"] for each in pod["topologySpreadConstraints"])]
    selectors += [the(manifests, "NetworkPolicy", "app")["spec"]["podSelector"]]
    selectors += [{"matchLabels": the(manifests, "Service", "app")["spec"]["selector"]}]
    assert all(each["matchLabels"].items() <= labels.items() for each in selectors)
    # the autoscaler's alone: a number here would be set again by each release
    assert "replicas" not in the(manifests, "Deployment", "app")["spec"]
    update = the(manifests, "Deployment", "app")["spec"]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": 1, "maxUnavailable": 0}
