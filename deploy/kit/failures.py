"""Why `make up` failed: the last lines of the service that did not come up, then one line with the reason.

Knows what docker reports about containers, and how the kit's programs in them begin the lines that are for people.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import reasons

SHOWN_LINES = 12
LONGEST_CAUSE = 300  # characters
ORDER = ("release", "app", "nginx")
"""A service later in the order waits for those before it, so its failure is theirs."""

KIT_LINE = re.compile(
    r"^(?:cron|worker|release|entrypoint|supervise|ropewalk|nginx/entrypoint|prepare|look|install|assets): \S"
)
TRACEBACK = re.compile(r"^(\S.*| +Applying \S+)?Traceback \(most recent call last\):$")
"""Also after what a program has printed on that line, as `manage.py migrate` does."""
CHAINED = re.compile(
    "(During handling of the above exception|The above exception was the direct cause of the following exception)"
)
"""Between two tracebacks, each with an empty line before and after it."""
TERMINAL_CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
UNREACHABLE = re.compile(r"[WE]: Failed to fetch (\S+)\s+(\S[^\n]*)")
"""apt's line. apt-get update succeeds all the same, and the next command says that there is no such package."""
NO_BASE = re.compile(r"^ > \[[^\]]*\] load metadata for (\S+):$", re.MULTILINE)
WHY_NO_BASE = re.compile(
    r'failed to solve.*(?:LLB definition|source metadata for \S+): (?:failed to do request: \w+ "[^"]*": )?(.*)$',
    re.MULTILINE,
)
BUILD_LINE = re.compile(r"^(?:#\d+ )?\d+\.\d+ ?")
"""BuildKit's prefix of what a step of the build printed: the seconds since its start."""


class Container(NamedTuple):
    service: str
    identifier: str
    state: str
    """running, exited, restarting, created, ..."""
    exit_status: int
    health: str
    """healthy, unhealthy, starting, or empty without a health check."""
    started: str
    last_check: str
    """What the last health check printed, or its exit status."""


class Failure(NamedTuple):
    service: str
    lines: list[str]
    """The last lines of its log, without tracebacks."""
    reason: str


def read_container(inspected: Mapping[str, Any]) -> Container:
    """From an entry of `docker inspect`."""
    state = inspected["State"]
    health = state.get("Health") or {}
    last: Mapping[str, Any] = (health.get("Log") or [{}])[-1]
    said = " ".join(str(last.get("Output", "")).split())
    return Container(
        service=(inspected["Config"].get("Labels") or {}).get("com.docker.compose.service", ""),
        identifier=inspected["Id"],
        state=state["Status"],
        exit_status=int(state.get("ExitCode") or 0),
        health=health.get("Status", ""),
        started=state.get("StartedAt", ""),
        last_check=said or f"exit status {last.get('ExitCode', '?')}" if last else "",
    )


def failed(containers: list[Container], before: list[Container]) -> Container | None:
    """The container that is to blame, but none that had ended `before` and has not been started since."""
    known = {(container.identifier, container.started) for container in before}

    def has_failed(container: Container) -> bool:
        if container.state == "exited":
            return container.exit_status != 0 and (container.identifier, container.started) not in known
        return container.state in ("restarting", "dead") or container.health in ("unhealthy", "starting")

    blamed = [container for container in containers if has_failed(container)]
    return min(blamed, key=_rank, default=None)


def _rank(container: Container) -> tuple[bool, int]:
    place = ORDER.index(container.service) if container.service in ORDER else len(ORDER)
    return container.health == "starting", place


def explain(container: Container, log: str) -> Failure:
    lines = without_tracebacks(TERMINAL_CODE.sub("", log).splitlines())
    said = next((line for line in reversed(lines) if KIT_LINE.match(line)), "")
    if container.health == "unhealthy" and container.state == "running":
        check = container.last_check
        reason = (
            f"its container is unhealthy; the last health check: {check}" if check else "its container is unhealthy"
        )
        if found := cause(log):
            reason += f". Its log has: {found}"
    elif said:
        reason = said.partition(": ")[2]
        lines = [line for line in lines if line != said]
    elif container.state == "restarting":
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        reason = f"it ends again and again{last and ', and its last line is: '}{last[:LONGEST_CAUSE]}"
    elif container.health == "starting":
        reason = "it has not become healthy in time"
    else:
        reason = f"it ended with exit status {container.exit_status}"
    return Failure(container.service, [line for line in lines if line.strip()][-SHOWN_LINES:], reason)


def known_reasons(log: str) -> list[str]:
    """What the exceptions of a log come from, each once, where the kit knows the line that mends it."""
    return list(dict.fromkeys(filter(None, (reasons.of_known(error) for error in _errors(log)))))


def _errors(log: str) -> list[str]:
    return [line.strip() for line in log.splitlines() if re.match(r"\s*[A-Za-z_0-9.]+(?:Error|Exception)\b", line)]


def cause(log: str) -> str:
    """The application's last exception, or the line in .env that mends it; empty if there is none."""
    errors = _errors(log)
    return (reasons.of_known(errors[-1]) or errors[-1][:LONGEST_CAUSE]) if errors else ""


def without_tracebacks(lines: list[str]) -> list[str]:
    """Without the frames of Python's tracebacks. Their last line, the error, stays."""
    return list(_without_tracebacks(lines))


def _without_tracebacks(lines: list[str]) -> Iterator[str]:
    is_inside = False
    for line in lines:
        if TRACEBACK.match(line):
            is_inside = True
        elif not is_inside or (line.strip() and not line[0].isspace()):
            is_inside = bool(CHAINED.match(line))
            if not is_inside:
                yield line


def of_build(output: str) -> str:
    """The reason why a build failed: the kit's own paragraph in the failed step's lines. Empty if there is none."""
    text = _plain(output)
    lines = _failed_step(text)
    if (at := _own_paragraph(lines)) >= 0:
        return "\n".join(lines[at:]).strip()
    if (base := NO_BASE.search(text)) and (why := WHY_NO_BASE.search(text)):
        name = base[1].removeprefix("docker.io/library/")
        return f"build: the image {name}, which BASE_IMAGE in .env names, cannot be pulled: {why[1].strip()}"
    found = UNREACHABLE.findall(text)
    if found and re.search(r"Unable to locate package|no installation candidate|Unable to fetch some archives", text):
        place, reason = found[-1]
        return (
            f"build: {place} could not be fetched: {reason.strip()}. Check the network of this machine, then try again"
        )
    return ""


def end_of_build(output: str) -> list[str]:
    """The last lines of the step that failed, before the kit's own paragraph, which is the reason."""
    lines = _failed_step(_plain(output))
    at = _own_paragraph(lines)
    return [line for line in (lines[:at] if at >= 0 else lines) if line][-SHOWN_LINES:]


def _plain(output: str) -> str:
    # a terminal ends its lines with both
    return TERMINAL_CODE.sub("", output).replace("\r\n", "\n").replace("\r", "\n")


def _failed_step(text: str) -> list[str]:
    """BuildKit repeats the failed step's last lines between two rules, of which now and then the very last are missing:
    then the lines are those that it printed while the step ran."""
    step = re.search(r"^-{6,}\n > .*?:\n(.*?)^-{6,}$", text, re.DOTALL | re.MULTILINE)
    repeated = _said(step[1].splitlines() if step else [])
    failed = re.findall(r"^(#\d+) ERROR: ", text, re.MULTILINE)
    if not failed or _own_paragraph(repeated) >= 0:
        return repeated
    first = re.compile(rf"{failed[-1]} \d+\.\d+( |$)")
    printed = _said([line for line in text.splitlines() if first.match(line)])
    return printed if _own_paragraph(printed) >= 0 else repeated


def _said(lines: list[str]) -> list[str]:
    return [BUILD_LINE.sub("", line).rstrip() for line in lines]


def _own_paragraph(lines: list[str]) -> int:
    """Where the last one begins; -1 if there is none."""
    return max((at for at, line in enumerate(lines) if KIT_LINE.match(line)), default=-1)
