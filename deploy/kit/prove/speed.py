"""`make bench-deploy`: how long it takes until a change of the sample project's code is live, beside plain compose.

Each round changes the code and deploys, rolls back, changes the code and calls `docker compose up --build`, so that all
meet the same load of the machine. The table has the median and the extremes. DOCS=1 puts it into docs/running.md.
"""

import json
import os
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from kit import compose, documents
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT
from kit.prove.site import ProofError, Site, temporary

CHANGED = "harbour/views.py"
COMPOSE = "docker compose up --build"
DEPLOY, ROLLBACK = "make deploy", "make rollback"
WHOLE = (DEPLOY, ROLLBACK, COMPOSE)

Times = dict[str, list[float]]
"""In seconds, by the first column of the table."""


def measure(environment: Mapping[str, str]) -> int:
    """Raises KitError."""
    rounds = environment.get("ROUNDS", "5")
    if not rounds.isdecimal() or not 1 <= int(rounds) <= 99:
        raise KitError(f"ROUNDS={rounds!r}: must be 1 to 99")
    times: Times = defaultdict(list)
    with temporary(environment, Site) as site:
        shutil.copytree(ROOT / "sample_project", site.folder, dirs_exist_ok=True)
        step("Bringing up the sample project (minutes, if nothing is cached)")
        try:
            site.kit("up")
            _round(site, defaultdict(list), 0)  # the first one finds less in the caches
            for number in range(1, int(rounds) + 1):
                _round(site, times, number)
                step(f"Round {number} of {rounds}: " + ", ".join(f"{name} {times[name][-1]:.1f} s" for name in WHOLE))
        except ProofError as error:
            raise KitError(f"{error}: {error.lines[-1] if error.lines else ''}") from None
    lines = table(times)
    print("\n".join(lines))
    if environment.get("DOCS") == "1":
        machine = f"{os.cpu_count()} CPUs, {rounds} rounds, a load of {os.getloadavg()[1]:.1f}"
        documents.replace("docs/running.md", "make bench-deploy", [f"Measured with {machine}:", "", *lines])
    return 0


def _round(site: Site, times: Times, number: int) -> None:
    prepared = compose.prepare(site.environment)  # not part of compose's time
    calls: dict[str, Callable[[], str]] = {
        DEPLOY: lambda: site.kit("deploy", "--json"),
        ROLLBACK: lambda: site.kit("rollback", "--json"),
        COMPOSE: lambda: site.docker("compose", "up", "--build", "--detach", "--wait", environment=prepared),
    }
    for name, call in calls.items():
        if name != ROLLBACK:
            with (site.folder / CHANGED).open("a", encoding="utf-8") as file:
                file.write(f"# {number} {name}\n")
        began = time.monotonic()
        said = call()
        times[name].append(time.monotonic() - began)
        for row in (json.loads(line) for line in said.splitlines() if line.startswith('{"command"')):
            if row.get("state") == "done":
                times[f"{name}: {row['step']}"].append(row["seconds"])


def table(times: Times) -> list[str]:
    """In Markdown."""
    rows = ["| | median | fastest | slowest |", "| --- | --- | --- | --- |"]
    for whole in WHOLE:
        for name in (whole, *(each for each in times if each.startswith(f"{whole}: "))):
            shown = f"`{name}`" if name == whole else f"&nbsp;&nbsp;{name.partition(': ')[2]}"
            found = (statistics.median(times[name]), min(times[name]), max(times[name]))
            rows.append(f"| {shown} | " + " | ".join(f"{seconds:.1f} s" for seconds in found) + " |")
    return rows
