"""Calls kubectl, each call with a time limit, and answers in the form that the steps of a release need."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from kit.release.engine import Done, Engine
from kit.release.errors import ReleaseError
from kit.release.signals import Signals

Object = Mapping[str, Any]
"""One of the API's, as JSON."""

CALL_TIMEOUT = 120.0  # seconds
QUESTION_TIMEOUT = "--request-timeout=30s"


class Kubectl(Engine):
    """For one cluster and, once it is known, one namespace."""

    program: ClassVar[str] = "kubectl"
    kept: ClassVar[int] = 1 << 24  # octets: a list is read as a whole

    def __init__(self, environment: Mapping[str, str], signals: Signals, show: Callable[[bytes], None]) -> None:
        super().__init__(environment, signals, show)
        self.context = environment.get("KUBERNETES_CONTEXT", "")
        self.namespace = ""

    def in_namespace(self, namespace: str) -> None:
        self.namespace = namespace
        self.options = (*self._context_options, "--namespace", namespace)

    @property
    def _context_options(self) -> tuple[str, ...]:
        return ("--context", self.context) if self.context else ()

    def named(self, words: str) -> str:
        """The command as a user would type it."""
        return " ".join(["kubectl", *self._context_options, "--namespace", self.namespace, words])

    def check(self) -> None:
        """Raises ReleaseError if the cluster does not respond."""
        self.options = self._context_options
        if not self.context:
            self.context = self.run("config", "current-context").output.strip()
        done = self.run("get", "--raw", "/version", QUESTION_TIMEOUT)
        if done.status:
            named = f"of the context {self.context!r} " if self.context else ""
            raise ReleaseError(f"the cluster {named}does not respond: {_reason(done)}")

    def kustomize(self, overlay: Path) -> str:
        """The manifests. Raises ReleaseError."""
        done = self.run("kustomize", str(overlay))
        if done.status:
            raise ReleaseError(f"{overlay.name}: {_reason(done)}")
        return done.output

    def apply(self, manifests: Path, selector: str, *, is_dry: bool = False) -> tuple[list[Object], list[str]]:
        """Those whose labels match, as the cluster has them then, and what it warns of. Raises ReleaseError.

        `is_dry`: the cluster checks them, and changes nothing.
        """
        words = ["apply", "--filename", str(manifests), "--selector", selector, "--output=json"]
        done = self.run(*words, *(["--dry-run=server"] if is_dry else []), timeout=CALL_TIMEOUT)
        if done.status:
            raise ReleaseError(_reason(done))
        warnings = [line for line in done.errors.splitlines() if line.startswith("Warning: ")]
        found = json.loads(done.output) if done.output.strip() else {"kind": "List", "items": []}
        return (list(found["items"]) if found["kind"] == "List" else [found]), warnings

    def get(self, *words: str) -> Object | None:
        """One object, or a list of them; None if there is none. Raises ReleaseError."""
        done = self.run("get", *words, "--ignore-not-found", "--output=json", QUESTION_TIMEOUT)
        if done.status:
            raise ReleaseError(_reason(done))
        found: Object | None = json.loads(done.output) if done.output.strip() else None
        return found

    def list(self, *words: str) -> list[Object]:
        """Raises ReleaseError."""
        return list((self.get(*words) or {}).get("items", []))


def _reason(done: Done) -> str:
    """In one line. kubectl prints its log before, and repeats an error for each try."""
    lines = [line for line in (done.errors or done.output).splitlines() if line.strip() and not _is_log(line)]
    return lines[-1].removeprefix("error: ").removeprefix("Error: ") if lines else done.reason


def _is_log(line: str) -> bool:
    """As in `E1130 02:00:00.000000   17 memcache.go:265] "Unhandled Error"...`."""
    return line[:1] in "EWIF" and line[1:5].isdigit()
