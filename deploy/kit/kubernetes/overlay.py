"""What a cluster gets, from `.env`: a copy of deploy/kubernetes, into which the variables and images are written.

The overlay is the user's own, with all that Kubernetes has and compose does not. `.env` goes into the base of the copy,
and the overlay's lines for the same variables are left out, so that one place decides.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kit import times
from kit.errors import KitError
from kit.paths import ROOT
from kit.swarm import files
from kit.variables import read

FOLDER = ROOT / "deploy/kubernetes"
LINE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?==)")

OF_THE_POD = frozenset(
    (
        *("ADMIN_BIND", "APP_HOST", "APP_PORT", "APP_PROCESS", "ASSETS_DIR", "COMPOSE_PROFILES", "CRON", "DRAIN_DELAY"),
        *("FORWARDED_ALLOW_IPS", "HTTP3", "HTTPS", "HTTPS_PORT", "NODE_NAME", "OUTBOUND", "PROJECT_ID", "REPLICA_NAME"),
        *("STOP_GRACE_PERIOD", "TLS_DIR", "TLS_DIR_GIVEN"),
    )
)
"""Variables that the manifests set, or that have to do with the networks and ports of one machine."""

INSTEAD = {
    "APP_CPUS": "resources in a patch of the overlay",
    "APP_MEMORY": "resources in a patch of the overlay",
    "APP_REPLICAS": "minReplicas and maxReplicas of the HorizontalPodAutoscaler, in a patch of the overlay",
    "BODY_ROOM": "sizeLimit of the volumes tmp and bodies, in a patch of the overlay",
    "ERROR_PAGES": "a ConfigMap that a patch of the overlay mounts at /kit/nginx/pages/own",
    "NGINX_CPUS": "resources in a patch of the overlay",
    "NGINX_MEMORY": "resources in a patch of the overlay",
    "RESPONSE_ROOM": "sizeLimit of the volume responses, in a patch of the overlay",
    "STOP_GRACE_PERIOD": "nothing: it is computed from REQUEST_TIMEOUT",
    "TLS_DIR": "the Ingress, which ends TLS",
}
"""Variables that mean something to compose alone, and what has their place."""

PROFILES = {
    "acme": "cert-manager, or what the ingress controller has",
    "backup": "a backup of the database where it is",
    "cron": "a CronJob in the overlay",
    "monitor": "a Prometheus in the cluster, which finds the pods by their annotations",
    "postgres": "DATABASE_URL=postgres://... of a server that the pods reach",
    "redis": "REDIS_URL=redis://... of a server that the pods reach",
    "scheduler": "a Deployment in the overlay, of one pod",
    "worker": "a Deployment in the overlay",
}

IMAGES = """
images:
  - name: app
    newName: {app[0]}
    newTag: {app[1]}
  - name: nginx
    newName: {nginx[0]}
    newTag: {nginx[1]}
"""

SECRET = """
secretGenerator:
  - name: project
    files: [{files}]
    options:
      labels:
        ropewalk/step: before
"""

GRACE = """
patches:
  - target: {{ kind: Deployment, name: app }}
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {{ name: app }}
      spec:
        template:
          spec:
            terminationGracePeriodSeconds: {seconds}
            initContainers:
              - {{ name: app, env: [{{ name: STOP_GRACE_PERIOD, value: {seconds}s }}] }}
            containers:
              - {{ name: nginx, env: [{{ name: STOP_GRACE_PERIOD, value: {seconds}s }}] }}
"""


class Wanted(NamedTuple):
    overlay: str
    """Its name."""
    public: Mapping[str, str]
    """Variables that everybody may read who can list ConfigMaps."""
    secret: Mapping[str, str]
    app: str
    """The name of the image, with its tag."""
    nginx: str
    values: Mapping[str, str]
    """The kit's variables, from which the times are computed."""


def name_of(values: Mapping[str, str]) -> str:
    """Raises KitError."""
    name = read("KUBERNETES_OVERLAY", values)
    known = sorted(path.parent.name for path in (FOLDER / "overlays").glob("*/kustomization.yaml"))
    if name not in known:
        raise KitError(
            f"KUBERNETES_OVERLAY={name!r}: must be one of {', '.join(known)}: a folder in {FOLDER / 'overlays'}"
        )
    return name


def check(values: Mapping[str, str], services: Iterable[str]) -> None:
    """Refuses what belongs to one machine. Raises KitError."""
    for name, instead in INSTEAD.items():
        if values.get(name):
            raise KitError(f"{name}={values[name]!r}: is not for TARGET=kubernetes. Instead: {instead}")
    for profile in (values.get("COMPOSE_PROFILES") or "").replace(",", " ").split():
        raise KitError(
            f"COMPOSE_PROFILES: {profile} is not for TARGET=kubernetes. Instead:"
            f" {PROFILES.get(profile, 'a manifest in the overlay')}"
        )
    for service in services:
        if service not in ("app", "nginx", "release"):
            raise KitError(f"the service {service} is not the kit's: TARGET=kubernetes needs a manifest in the overlay")
    if (values.get("OUTBOUND") or "on") != "on":
        raise KitError(
            "OUTBOUND=off: is not for TARGET=kubernetes. Instead: remove the NetworkPolicy outbound in the overlay"
        )


def split(values: Mapping[str, str], *services: Mapping[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of the containers that `.env` or `.env.project` set: public ones, and secret ones.

    `services`: as `docker compose config` prints them, in which each `$` is doubled.
    """
    given: dict[str, str] = {}
    for service in services:
        found = service.get("environment") or {}
        assert isinstance(found, Mapping)
        given |= {name: value.replace("$$", "$") for name, value in found.items() if value}
    public, secret = files.split(given)
    public = {name: value for name, value in public.items() if values.get(name) and name not in OF_THE_POD}
    return public, {name: value for name, value in secret.items() if name not in OF_THE_POD}


def copy(wanted: Wanted, to: Path) -> Path:
    """The folder of the overlay in the copy. Raises KitError for what a file of variables cannot have."""
    shutil.copytree(FOLDER, to)
    overlay = to / "overlays" / wanted.overlay
    for name, value in wanted.public.items():
        if "\n" in value:
            raise KitError(f"{name}: has a line break, which a ConfigMap's file of variables cannot have")
    for file in overlay.glob("*.env"):
        _leave_out(file, {*wanted.public, *wanted.secret})
    base = to / "base"
    _leave_out(base / "site.env", {*wanted.public})
    _append(base / "site.env", "".join(f"{name}={value}\n" for name, value in sorted(wanted.public.items())))
    _append(base / "kustomization.yaml", _additions(wanted, base, overlay))
    return overlay


def _additions(wanted: Wanted, base: Path, overlay: Path) -> str:
    text = IMAGES.format(app=_parts(wanted.app), nginx=_parts(wanted.nginx))
    if wanted.secret:
        folder = base / "secrets"
        folder.mkdir()
        for name, value in wanted.secret.items():
            (folder / name).write_text(value, encoding="utf-8")
        text += SECRET.format(files=", ".join(f"secrets/{name}" for name in sorted(wanted.secret)))
        for name in ("SECRET_KEY", "DATABASE_URL"):  # which the overlay may list, and .env has
            if name in wanted.secret and (overlay / "secrets").is_dir():
                (overlay / "secrets" / name).write_text(wanted.secret[name], encoding="utf-8")
    grace = times.chain(wanted.values)["KUBERNETES_GRACE"]
    if grace != times.chain({})["KUBERNETES_GRACE"]:
        text += GRACE.format(seconds=grace)
    return text


def _parts(image: str) -> tuple[str, str]:
    """The name and the tag, in quotes: a tag may look like a number."""
    name, _, tag = image.rpartition(":")
    return f'"{name}"', f'"{tag}"'


def _leave_out(file: Path, names: set[str]) -> None:
    if not file.exists():
        return
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not ((found := LINE.match(line)) and found[0] in names)]
    file.write_text("".join(kept), encoding="utf-8")


def _append(file: Path, text: str) -> None:
    before = file.read_text(encoding="utf-8")
    file.write_text(before + ("" if before.endswith("\n") else "\n") + text, encoding="utf-8")
