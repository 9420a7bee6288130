"""The tables of a run, for the terminal and for docs/fault-injection.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.report.markdown import table
from faults.run.load import Clients
from faults.run.outcomes import Outcome
from faults.run.scenario import Result
from faults.run.servers import GRACEFUL_TIMEOUT, KEEP_ALIVE, Start

PASSED, FAILED, SKIPPED = "✓", "✗", "-"
OUTCOMES = (
    Outcome.COMPLETED,
    Outcome.ERROR_RESPONSE,
    Outcome.ABORTED,
    Outcome.IDLE_CLOSE,
    Outcome.LOST,
    Outcome.TIMED_OUT,
    Outcome.WRONG,
)
HEADING = (
    *("scenario", "server", Outcome.NOT_CONNECTED.value, "sent"),
    *(outcome.value for outcome in OUTCOMES),
    *("duplicated", "slowest", ""),
)


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The results of one scenario, one for each server."""

    name: str
    title: str
    description: str
    rows: list[Result]


@dataclass(frozen=True, slots=True)
class Results:
    """One run."""

    machine: dict[str, str]
    versions: dict[str, str]
    scenarios: list[ScenarioResult] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Results:
        scenarios = [
            ScenarioResult(**{**one, "rows": [Result(**row) for row in one["rows"]]}) for one in data["scenarios"]
        ]
        return Results(data["machine"], data["versions"], scenarios)


def mark(row: Result) -> str:
    return SKIPPED if row.skipped else PASSED if row.has_passed else FAILED


def reasons(row: Result) -> str:
    """Why a scenario failed, in one line."""
    return "; ".join([*(f"{count} {name}" for name, count in row.unexpected.items()), *row.failures])


def results_table(results: Results) -> str:
    rows = []
    for scenario in results.scenarios:
        for number, row in enumerate(scenario.rows):
            rows.append((scenario.title if not number else "", *_cells(row)))
    return table(HEADING, rows)


def _cells(row: Result) -> tuple[str, ...]:
    if row.skipped:
        return (row.server, *[""] * (len(HEADING) - 3), SKIPPED)
    numbers = [row.counts[Outcome.NOT_CONNECTED.value], row.sent]
    numbers += [*(row.counts[outcome.value] for outcome in OUTCOMES), row.duplicated]
    return (row.server, *(str(number) if number else "" for number in numbers), f"{row.slowest:.2f} s", mark(row))


def verdicts(scenario: ScenarioResult) -> str:
    """Which servers passed a scenario, and why the others did not."""
    if all(row.has_passed for row in scenario.rows):
        return f"{PASSED} {' and '.join(row.server for row in scenario.rows)}"
    lines = []
    for row in scenario.rows:
        if row.skipped:
            lines.append(f"* {SKIPPED} {row.server}: skipped: {row.skipped}")
        elif row.has_passed:
            lines.append(f"* {PASSED} {row.server}")
        else:
            lines.append(f"* {FAILED} {row.server}: {reasons(row)}")
    return "\n".join(lines)


def summary(results: Results) -> str:
    """How many scenarios each server passed."""
    lines = []
    for server, version in results.versions.items():
        rows = [row for scenario in results.scenarios for row in scenario.rows if row.server == server]
        done = [row for row in rows if not row.skipped]
        passed = sum(row.has_passed for row in done)
        lines.append(f"* {server} {version}: {passed} of {len(done)} scenarios passed")
    return "\n".join(lines)


def terminal(results: Results) -> str:
    parts = [results_table(results)]
    for scenario in results.scenarios:
        if not all(row.has_passed for row in scenario.rows):
            lines = [f"{scenario.title} ({scenario.name})", verdicts(scenario)]
            for row in scenario.rows:
                lines += [f"    {row.server}: {example}" for example in row.examples if not row.has_passed]
            parts.append("\n".join(lines))
    return "\n\n".join([*parts, summary(results)]) + "\n"


def setup_region() -> str:
    """How the servers and the load are set up."""
    start, clients = Start(), Clients()
    return (
        f"Each server runs {start.workers} workers of {start.threads} threads (gunicorn with gthread) with "
        f"`--timeout {start.timeout}` and `--graceful-timeout {GRACEFUL_TIMEOUT}` unless a scenario says otherwise, "
        f"`--keep-alive {KEEP_ALIVE}` and an access log. {clients.keep_alive} clients keep their connections and "
        f"{clients.new_connection} open one for each request."
    )


def scenarios_region(results: Results) -> str:
    parts = []
    for scenario in results.scenarios:
        parts += [f"### {scenario.title}", scenario.description, verdicts(scenario)]
    return "\n\n".join(parts)


def page_regions(results: Results) -> dict[str, str]:
    """The generated regions of docs/fault-injection.md."""
    return {
        "setup": setup_region(),
        "summary": f"{summary(results)}\n\n{results_table(results)}",
        "scenarios": scenarios_region(results),
        "environment": table(("", ""), [*results.machine.items(), *results.versions.items()]),
    }
