"""`make maintenance ON`, `make maintenance OFF`: nginx shows the page of a maintenance instead of the site."""

import subprocess
from collections.abc import Mapping, Sequence

from kit import compose
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT

SCRIPT = "/kit/bin/maintenance"

OFF = "Off: the site is as usual"
RETRY_AFTER = "60"
"""Seconds after which clients are asked to try again, if RETRY_AFTER does not say."""


def maintenance(state: str, environment: Mapping[str, str]) -> int:
    """`state` is on, off, or status or blank, which print what is on. ALLOW has the addresses that the site stays for.

    Raises KitError if nginx does not run, or does not accept a value.
    """
    words = arguments(state, environment)
    prepared = compose.prepare(environment)
    said = _call(words, prepared)
    step((said or OFF) if words == ["status"] else result(words))
    return 0


def arguments(state: str, environment: Mapping[str, str]) -> list[str]:
    """Of the script. Raises KitError."""
    match state.lower():
        case "on":
            return ["on", environment.get("RETRY_AFTER") or RETRY_AFTER, *_allowed(environment)]
        case "off":
            return ["off"]
        case "status" | "":
            return ["status"]
    raise KitError(f"{state!r}: must be ON, OFF or status: make maintenance ON")


def _allowed(environment: Mapping[str, str]) -> list[str]:
    return environment.get("ALLOW", "").replace(",", " ").split()


def result(words: Sequence[str]) -> str:
    """What is on now."""
    if words[0] == "off":
        return "The site is as usual"
    except_for = f" except {', '.join(words[2:])}" if words[2:] else ""
    return f"Everybody{except_for} gets the page of the maintenance  (make maintenance OFF)"


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
