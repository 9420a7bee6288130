"""Why pods do not become ready, in one line: what their containers wait for, or what the cluster warns of."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kit.kubernetes.kubectl import Kubectl, Object
from kit.release.output import Output

OF_A_POD = re.compile(r'(pods "[a-z0-9.-]+)-[a-z0-9]{5}(?=")')
USUAL = ("ContainerCreating", "PodInitializing")
MOST = 300
"""Characters of a message."""


def condition(found: Object, kind: str) -> Mapping[str, Any]:
    """Of an object's status; {} if it does not have it."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


class Causes:
    """Says each cause once, as soon as it is seen."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._said: set[str] = set()
        self.last = ""
        self._failed: tuple[str, str] | None = None
        """A pod and a container that has ended."""

    def look(self, kubectl: Kubectl, selector: str, owner: tuple[str, str]) -> None:
        """`selector`: of the pods. `owner`: the kind and name of what starts them. Raises ReleaseError."""
        pods = sorted(kubectl.list("pods", "--selector", selector), key=_created, reverse=True)
        for each in pods[:1]:  # the newest: the others are of the release before, or for the same reason
            self._failed = next(_ended(each), self._failed)
        found = list(of_pods(pods[:1])) or self._warnings(kubectl, pods[:1], owner)
        self.last = _unready(pods[:1]) or self.last
        for text in found:
            self.last = text
            if text not in self._said:
                self._said.add(text)
                self._note(text)

    def _warnings(self, kubectl: Kubectl, pods: list[Object], owner: tuple[str, str]) -> list[str]:
        """Of the pod, or of what should start one: a ReplicaSet's warnings are about the Deployment's pods."""
        if pods and condition(pods[0], "Ready").get("status") == "True":
            return []
        kind, name = owner
        wanted = {("Pod", pods[0]["metadata"]["name"])} if pods else {owner}
        events = kubectl.list("events", "--field-selector", "type=Warning")
        if kind == "Deployment" and not pods:
            wanted |= {("ReplicaSet", each["involvedObject"]["name"]) for each in events if _is_of(each, name)}
        said = [each for each in events if (each["involvedObject"]["kind"], each["involvedObject"]["name"]) in wanted]
        said = [each for each in said if each.get("reason") not in ("Unhealthy", "BackOff")]
        place = f"{pods[0]['metadata']['name']}: " if pods else ""
        return [_short(f"{place}{_same(said[-1].get('message', ''))}")] if said else []

    def print_log(self, kubectl: Kubectl, output: Output) -> None:
        """The last lines of the container that has ended, if one has."""
        if not self._failed:
            return
        pod, container = self._failed
        for options in (["--previous"], []):
            done = kubectl.run("logs", pod, "--container", container, "--tail=20", *options)
            if done.status == 0 and done.output.strip():
                break
        for line in done.output.splitlines() if done.status == 0 else ():
            output.line(f"    {line}")


def of_pods(pods: Iterable[Object]) -> Iterator[str]:
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            yield _short(f"{name}: {scheduled.get('message', 'no node takes it')}")
        for each in _containers(status):
            waiting, last = each.get("state", {}).get("waiting"), _last_end(each)
            if last:
                yield f"{name}: {each['name']} ended with exit status {last['exitCode']}"
            elif waiting and waiting.get("reason") not in USUAL:
                yield _short(f"{name}: {each['name']}: {waiting.get('reason')}: {waiting.get('message', '')}")


def _unready(pods: Iterable[Object]) -> str:
    """What is usual for a while; empty if there is none."""
    for pod in pods:
        if condition(pod, "Ready").get("status") != "True":
            for each in _containers(pod.get("status", {})):
                if _is_unready(each):
                    return f"{pod['metadata']['name']}: {each['name']} runs, and is not ready"
    return ""


def _is_unready(each: Object) -> bool:
    return bool(each.get("state", {}).get("running")) and not each.get("ready") and not _last_end(each)


def _containers(status: Mapping[str, Any]) -> list[Object]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _last_end(each: Object) -> Mapping[str, Any] | None:
    """Of a container that has failed."""
    ends = (each.get("state", {}).get("terminated"), each.get("lastState", {}).get("terminated"))
    return next((end for end in ends if end and end.get("exitCode")), None)


def _ended(pod: Object) -> Iterator[tuple[str, str]]:
    for each in _containers(pod.get("status", {})):
        if _last_end(each):
            yield pod["metadata"]["name"], each["name"]


def _created(pod: Object) -> str:
    created: str = pod["metadata"]["creationTimestamp"]
    return created


def _is_of(event: Object, name: str) -> bool:
    involved = event["involvedObject"]
    return bool(involved["kind"] == "ReplicaSet" and involved["name"].rpartition("-")[0] == name)


def _same(message: str) -> str:
    """Without what differs each time that the cluster tries: the name of the pod that it would have started."""
    return OF_A_POD.sub(r"\1-...", message.removeprefix("(combined from similar events): "))


def _short(text: str) -> str:
    line = " ".join(text.split()).rstrip(": ")
    return line if len(line) <= MOST else f"{line[: MOST - 3]}..."
