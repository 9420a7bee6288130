"""From the results (JSON) to words: the table that the terminal shows, and docs/benchmarks/README.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.notes import Notes, answers
from bench.targets import HIGHER_IS_BETTER, shown

Results = dict[str, Any]

MARKS = {"reached": "✓ reached", "not reached": "✗ not reached", "not measured": "- not measured"}
LOAD_IS_FULL = 0.95  # share of the load's processor from which the load counts as the limit,
SERVER_IS_IDLE = 0.9  # if the server's own was used less than so much
NOISE = 0.05  # share of the server's processor taken by others past which the results say so
COLUMNS = {
    "start": ("start", "memory", "resident"),
    "open loop": ("rate", "rate_cpu", "p50", "p99", "p999", "longest", "lag", "failures"),
    "idle connections": ("rate", "rate_without", "rate_cpu", "p99", "idle_octets", "failures"),
    "slow peers": ("rate", "rate_without", "rate_cpu", "p99", "failures"),
    "with and without": ("rate", "rate_without", "rate_cpu", "p50", "p99", "failures"),
    "many threads": ("rate", "rate_cpu", "p50", "p99", "p99_of_one", "failures"),
    "several workers": ("busiest_kept", "busiest_new"),
    "a load that changes": ("settle", "settle_blocking", "settle_mixed", "settle_computing"),
    "an answer held up": ("held_short", "worst_short", "held_long", "worst_long"),
    "closed loop": ("rate", "rate_cpu", "p50", "p99", "failures"),
}
HEADINGS = {
    "rate": "req/s",
    "rate_cpu": "req per CPU second",
    "rate_without": "req/s without them",
    "p99_of_one": "p99 with one thread",
    "longest": "longest",
    "p999": "p99.9",
    "lag": "p99 lag of the load",
    "idle_octets": "memory of a connection",
    "memory": "memory, all its processes",
    "resident": "resident, counted twice where shared",
    "start": "to the first answer",
    "busiest_kept": "busiest worker by the mean, kept connections",
    "busiest_new": "new connections",
    "settle": "settled at the latest after",
    "settle_blocking": "when it blocks",
    "settle_mixed": "when it does both",
    "settle_computing": "when it computes again",
    "held_short": "longest wait of a batch behind short requests, median",
    "worst_short": "worst",
    "held_long": "behind long ones, median",
    "worst_long": "worst",
}


def table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table that reads as well in a terminal."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(heading), "| " + " | ".join("-" * width for width in widths) + " |", *map(line, rows)])


def verdict_value(verdict: dict[str, Any]) -> str:
    value = verdict["value"]
    if value is None:
        return "-"
    if not verdict["is_ratio"]:
        return shown(verdict["metric"], value)
    return f"{value:.2f} x {verdict['against']}"


def targets_table(results: Results) -> str:
    """A row for each target, with its mark."""
    rows = []
    for scenario in results["scenarios"]:
        for number, verdict in enumerate(scenario["verdicts"]):
            of_cpu = verdict.get("of_cpu")
            title = scenario["title"] if not number else ""
            cpu = f"{of_cpu:.2f}" if of_cpu else ""
            rows.append((title, verdict["target"], verdict_value(verdict), cpu, MARKS[verdict["mark"]]))
    return table(("scenario", "to reach", "measured", "by CPU time", ""), rows)


def scenario_table(scenario: dict[str, Any]) -> str:
    """A row for each server: medians, and for rates the least and most in parentheses."""
    columns = COLUMNS[scenario["kind"]]
    rows = []
    for name, medians in scenario["medians"].items():
        cells = [name]
        for metric in columns:
            text = shown(metric, medians[metric])
            if metric in HIGHER_IS_BETTER and metric == "rate":
                least, most = scenario["least"][name][metric], scenario["most"][name][metric]
                text += f" ({shown(metric, least)} - {shown(metric, most)})"
            cells.append(text)
        rows.append(tuple(cells))
    return table(("server", *(HEADINGS.get(metric, metric) for metric in columns)), rows)


def noise(scenario: dict[str, Any]) -> float:
    """The share of the server's processor that others took, in the worst of the medians."""
    return max((medians.get("others", 0.0) for medians in scenario["medians"].values()), default=0.0)


def terminal(results: Results) -> str:
    parts = []
    for scenario in results["scenarios"]:
        parts.append(f"{scenario['title']}\n\n{scenario_table(scenario)}")
        parts.extend(f"{name}: not measured: {fault}" for name, fault in scenario["faults"].items())
        parts.extend(_noise_line(scenario) + _load_line(scenario))
    marks = [verdict["mark"] for scenario in results["scenarios"] for verdict in scenario["verdicts"]]
    count = f"{marks.count('reached')} of {len(marks)} reached"
    return "\n\n".join([*parts, targets_table(results), count]) + "\n"


def _noise_line(scenario: dict[str, Any]) -> list[str]:
    share = noise(scenario)
    if share < NOISE:
        return []
    return [f"Others took up to {share:.0%} of the server's processor meanwhile: trust the column by CPU time more."]


def _load_line(scenario: dict[str, Any]) -> list[str]:
    """Say where the load was what could not go faster."""
    names = [
        name
        for name, medians in scenario["medians"].items()
        if medians.get("load_busy", 0.0) >= LOAD_IS_FULL and medians.get("server_busy", 1.0) < SERVER_IS_IDLE
    ]
    if not names or scenario["kind"] == "open loop":
        return []
    what = "The load's processor was full before the server's with"
    return [f"{what} {', '.join(names)}: there, requests per CPU second tell more than the rate."]


def is_missed(scenario: dict[str, Any]) -> bool:
    return any(verdict["mark"] == "not reached" for verdict in scenario["verdicts"])


def document(results: Results, notes: Notes) -> str:
    """docs/benchmarks/README.md."""
    parts = [
        "# How fast is it, beside other servers?",
        (
            "Written by `make bench` from [results.json](results.json); change nothing by hand. It runs in an image of "
            "the Python that ships, if a Docker engine answers, and says below where it ran: the interpreter of "
            "another machine may be half as fast again, or as slow. "
            "`make bench QUICK=1` takes about three minutes and writes nothing here. What is said of rows that are not "
            "reached is kept in `compare/bench/notes.toml`. What a request costs: [profile.md](profile.md)."
        ),
        (
            f"One process, {results['threads']} threads and {results['connections']} connections unless a row says "
            f"otherwise; {results['rounds']} interleaved rounds of {results['seconds']:g} s, of which the medians are "
            "shown, with the least and the most in parentheses. Each server was found to answer rightly (status, "
            "length, content) before each round, and had its defaults but for what the scenarios need of all alike "
            "(`compare/bench/backends.py`). *Closed loop* is wrk. *Open loop* is `compare/bench/steady.py`: a constant "
            "rate, with latency counted from the moment at which a request was to be sent. *By CPU time* compares "
            "requests per second of processor time of the server's processes, which holds on a machine that "
            "others use as well. Several workers have all processors, and share them with the load; "
            "*settled* is when as many answers come, but for a tenth, as later (`compare/bench/settle.py`). *Memory* "
            "is that of master and workers together: private pages, those they share once, and each page of "
            "the interpreter and its libraries once, whoever else maps it."
        ),
        table(("", ""), [*results["machine"].items()]),
        "## What was to be reached",
        targets_table(results),
        "## What was measured",
    ]
    for scenario in results["scenarios"]:
        parts += [f"### {scenario['title']}", f"![{scenario['title']}]({scenario['name']}.svg)"]
        parts.append(scenario_table(scenario))
        parts.extend(f"{name} was not measured: {fault}" for name, fault in scenario["faults"].items())
        parts.extend(_noise_line(scenario) + _load_line(scenario))
        if is_missed(scenario):
            parts += ["Not reached:", "\n".join(f"- {answer}" for answer in answers(notes, scenario["name"]))]
    parts += ["## Versions", table(("server", "version"), [*results["versions"].items()])]
    parts += [f"{name} is missing: {reason}" for name, reason in results["missing"].items()]
    return "\n\n".join(parts) + "\n"
