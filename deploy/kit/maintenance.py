"""`make maintenance ON`, `make maintenance OFF`: nginx shows the page of a maintenance instead of the site."""

import subprocess
from collections.abc import Mapping

from kit import compose
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT

SCRIPT = "/kit/bin/maintenance"

RETRY_AFTER = "60"
"""Seconds after which clients are asked to try again, if RETRY_AFTER does not say."""


def maintenance(state: str, environment: Mapping[str, str]) -> int:
    """`state` is on, off, or status or blank, which print what is on. ALLOW has the addresses that the site stays for.

    Raises KitError if nginx does not run, or does not accept a value.
    """
    wanted = state.lower()
    if wanted not in {"on", "off", "status", ""}:
        raise KitError(f"{state!r}: must be ON, OFF or status: make maintenance ON")
    prepared = compose.prepare(environment)
    if wanted in {"status", ""}:
        step(_call(["status"], prepared) or "Off: the site is as usual")
        return 0
    if wanted == "on":
        allowed = environment.get("ALLOW", "").replace(",", " ").split()
        _call(["on", environment.get("RETRY_AFTER") or RETRY_AFTER, *allowed], prepared)
        except_for = f" except {', '.join(allowed)}" if allowed else ""
        step(f"Everybody{except_for} gets the page of the maintenance  (make maintenance OFF)")
    else:
        _call(["off"], prepared)
        step("The site is as usual")
    return 0


def _call(arguments: list[str], prepared: Mapping[str, str]) -> str:
    """The first line that the script prints. Raises KitError with what it complains about."""
    command = ["docker", "compose", "exec", "--no-TTY", "nginx", SCRIPT, *arguments]
    done = subprocess.run(
        command,
        env=prepared,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    complaint = (done.stderr.strip().splitlines() or [""])[-1]
    if "is not running" in complaint:
        raise KitError("nginx is not running: make up")
    if done.returncode and (complaint or arguments != ["status"]):
        raise KitError(complaint.removeprefix("maintenance: ") or f"nginx did not answer: status {done.returncode}")
    return done.stdout.strip()
