"""A cluster for tests of the kit's steps: one Deployment, one Job, and what kubectl would answer about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kit.kubernetes.kubectl import Kubectl
from kit.release.engine import Done
from kit.release.signals import Signals

Object = dict[str, Any]
WANTED = 2
READY = {"updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}
STARTING = {"updatedReplicas": 1, "replicas": 3, "availableReplicas": 2}
LATE = {
    **STARTING,
    "conditions": [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "has timed out"}
    ],
}


def deployment(image: str, status: Mapping[str, Any] = READY, revision: int = 1) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "app",
            "uid": "of-the-deployment",
            "generation": revision,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {
            "replicas": WANTED,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "app"}},
            "template": {"spec": {"initContainers": [{"name": "app", "image": image}], "containers": []}},
        },
        "status": {"observedGeneration": revision, **status},
    }


def manifests(image: str) -> list[Object]:
    return [
        {"kind": "ConfigMap", "metadata": {"name": "site", "labels": {"ropewalk/step": "before"}}},
        {"kind": "Job", "metadata": {"name": "release", "labels": {"ropewalk/step": "release"}}},
        deployment(image),
    ]


class FakeKubectl(Kubectl):
    def __init__(self, live: str = "shop-app:1") -> None:
        super().__init__({}, Signals(), lambda _: None)
        self.in_namespace("shop")
        self.calls: list[tuple[str, ...]] = []
        self.live: list[Object] = [deployment(live)] if live else []
        """The Deployment of each revision; the last one is live."""
        self.job: Object | None = None
        self.job_ends: Mapping[str, Any] = {"succeeded": 1}
        self.rollout: Iterator[Mapping[str, Any]] = iter([STARTING, READY])
        """The Deployment's status at each look after it was changed; the last one stays."""
        self.pods: list[Object] = []
        self.events: list[Object] = []
        self.log = "migrated\n"
        self.errors: dict[str, str] = {}
        """What kubectl says, by the word that it is called with."""
        self.before_call: Callable[[tuple[str, ...]], None] = lambda _: None
        self.jobs = 0
        self._is_changing = False

    @property
    def image(self) -> str:
        """Of the pods that are wanted."""
        image: str = self.live[-1]["spec"]["template"]["spec"]["initContainers"][0]["image"]
        return image

    def run(self, *arguments: str, **_: Any) -> Done:
        self.signals.check()
        self.before_call(arguments)
        self.calls.append(arguments)
        is_dry = "--dry-run=server" in arguments
        if error := self.errors.get("dry" if is_dry else arguments[0]):
            return Done(1, "", error)
        answer = getattr(self, f"_{arguments[0].replace('-', '_')}")(*arguments[1:])
        return Done(0, answer, "")

    def _apply(self, *arguments: str) -> str:
        found = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
        selector = arguments[3]
        step = "" if "!=" in selector else selector.partition("=")[2]
        chosen = [each for each in found if each["metadata"].get("labels", {}).get("ropewalk/step", "") == step]
        if "--dry-run=server" not in arguments:
            for each in chosen:
                if each["kind"] == "Job":
                    self.jobs += 1
                    each["metadata"]["uid"] = f"job-{self.jobs}"
                    self.job = {**each, "status": {"active": 1}}
                if each["kind"] == "Deployment":
                    self._change(each)
        return json.dumps({"kind": "List", "items": chosen})

    def _change(self, wanted: Object) -> None:
        if self.live and wanted["spec"]["template"] == self.live[-1]["spec"]["template"]:
            return
        revision = len(self.live) + 1
        image = wanted["spec"]["template"]["spec"]["initContainers"][0]["image"]
        self.live.append(deployment(image, STARTING, revision))
        self._is_changing = True

    def _get(self, kind: str, *rest: str) -> str:
        name = rest[0]
        if kind == "--raw":
            return "{}"
        if kind == "namespace":
            return json.dumps({"metadata": {"name": name}})
        if kind == "job":
            if self.job and self.jobs:
                ended, self.job["status"] = self.job["status"], self.job_ends
                return json.dumps({**self.job, "status": ended})
            return json.dumps(self.job) if self.job else ""
        if kind == "deployment":
            if self._is_changing:
                self.live[-1]["status"] |= (status := next(self.rollout, READY))
                self._is_changing = status is not READY
            return json.dumps(self.live[-1]) if self.live else ""
        if kind == "replicasets":
            return json.dumps({"items": [self._replica_set(each) for each in self.live]})
        if kind == "pods" and "controller-uid" in rest[1]:  # the Job's
            return '{"items": []}'
        return json.dumps({"items": {"pods": self.pods, "events": self.events}.get(kind, [])})

    def _replica_set(self, of: Object) -> Object:
        metadata = {
            "creationTimestamp": "2026-11-29T08:00:00Z",
            "annotations": of["metadata"]["annotations"],
            "ownerReferences": [{"uid": "of-the-deployment"}],
        }
        return {"metadata": metadata, "spec": {"template": of["spec"]["template"]}}

    def _delete(self, *_: str) -> str:
        self.job = None
        return ""

    def _logs(self, *_: str) -> str:
        return self.log

    def _rollout(self, verb: str, *options: str) -> str:
        assert verb == "undo"
        to = next((int(each.partition("=")[2]) for each in options if each.startswith("--to-revision=")), 0)
        image = self.live[to - 1 if to else -2]["spec"]["template"]["spec"]["initContainers"][0]["image"]
        self.live.append(deployment(image, READY, len(self.live) + 1))
        self._is_changing = False
        return ""
