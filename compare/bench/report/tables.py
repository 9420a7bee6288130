"""The tables of a run, for the terminal and for docs/benchmarks/README.md."""

from __future__ import annotations

from bench.report.markdown import table
from bench.results import Results, ScenarioResult, TargetResult
from bench.targets import Mark, shown

MARKS = {Mark.MET: "✓ met", Mark.MISSED: "✗ missed", Mark.NOISE: "≈ within noise", Mark.UNKNOWN: "- not measured"}
LOAD_IS_FULL = 0.95  # share of the load's CPU from which the load is the limit,
SERVER_IS_IDLE = 0.9  # if the server used less than this share of its own
NOISE = 0.05  # share of the server's CPU used by other processes above which the results mention it
TARGETS_HEADING = ("scenario", "build", "target", "measured", "by CPU time", "")
COLUMNS = {
    "start": ("start", "memory", "resident"),
    "open loop": ("rate", "rate_cpu", "p50", "p99", "p999", "longest", "lag", "failures"),
    "idle connections": ("rate", "rate_baseline", "rate_cpu", "p99", "connection_memory", "failures"),
    "slow clients": ("rate", "rate_baseline", "rate_cpu", "p99", "failures"),
    "access log": ("rate", "rate_baseline", "rate_cpu", "p50", "p99", "failures"),
    "many threads": ("rate", "rate_cpu", "p50", "p99", "p99_one_thread", "failures"),
    "several workers": ("busiest_keep_alive", "busiest_new"),
    "load change": ("settled", "settled_blocking", "settled_mixed", "settled_computing"),
    "response delay": ("delay_short", "longest_delay_short", "delay_long", "longest_delay_long"),
    "pipelined requests": ("rate", "rate_cpu", "failures"),
    "closed loop": ("rate", "rate_cpu", "p50", "p99", "failures"),
}
"""The metrics in the table of each kind of scenario."""

HEADINGS = {
    "rate": "requests/s",
    "rate_cpu": "requests per CPU second",
    "rate_baseline": "requests/s, baseline",
    "p99_one_thread": "p99 with one thread",
    "p99": "p99",
    "p999": "p99.9",
    "lag": "p99 lag of the load",
    "connection_memory": "memory per connection",
    "memory": "memory of all processes",
    "resident": "sum of RSS",
    "start": "time to first response",
    "busiest_keep_alive": "busiest worker, keep-alive connections",
    "busiest_new": "busiest worker, new connections",
    "settled": "time to settle, longest",
    "settled_blocking": "blocking",
    "settled_mixed": "both",
    "settled_computing": "computing again",
    "delay_short": "delay after short requests, median",
    "longest_delay_short": "longest",
    "delay_long": "delay after long requests, median",
    "longest_delay_long": "longest",
}


def columns(kind: str) -> tuple[str, ...]:
    """The heading of the table of a kind of scenario."""
    return ("server", *(HEADINGS.get(metric, metric) for metric in COLUMNS[kind]))


def scenario_table(scenario: ScenarioResult) -> str:
    """One row per server: medians with their spread, as spread.py defines it."""
    rows = []
    for name, medians in scenario["medians"].items():
        cells = [name]
        for metric in COLUMNS[scenario["kind"]]:
            text = shown(metric, medians[metric])
            has_spread = scenario["rounds"] > 1 and metric != "failures"
            cells.append(f"{text} (±{scenario['spreads'][name][metric]:.0%})" if has_spread else text)
        rows.append(tuple(cells))
    return table(columns(scenario["kind"]), rows)


def targets_table(results: Results) -> str:
    """One row per target."""
    rows = []
    for scenario in results["scenarios"]:
        for number, target in enumerate(scenario["targets"]):
            title = scenario["title"] if not number else ""
            by_cpu_time = f"{target['by_cpu_time']:.2f}" if target["by_cpu_time"] else ""
            rows.append(
                (title, target["build"], target["target"], _measured(target), by_cpu_time, MARKS[Mark(target["mark"])])
            )
    return table(TARGETS_HEADING, rows)


def _measured(target: TargetResult) -> str:
    value = target["value"]
    if value is None:
        return "-"
    if not target["is_ratio"]:
        return shown(target["metric"], value)
    return f"{value:.2f} ± {value * target['noise']:.2f} × {target['against']}"


def targets_summary(results: Results) -> str:
    marks = [target["mark"] for scenario in results["scenarios"] for target in scenario["targets"]]
    within = marks.count(Mark.NOISE.value)
    return f"{marks.count(Mark.MET.value)} of {len(marks)} targets are met, {within} lie within the noise of the run."


def remarks(scenario: ScenarioResult) -> list[str]:
    """What to know about the figures of a scenario: failed servers, other processes, a load that was the limit."""
    found = [f"{name} was not measured: {error}" for name, error in scenario["errors"].items()]
    found += [f"{name} has no row: {reason}" for name, reason in scenario["left_out"].items()]
    noise = max((medians.get("others", 0.0) for medians in scenario["medians"].values()), default=0.0)
    if noise >= NOISE:
        found.append(
            f"Other processes used up to {noise:.0%} of the server's CPU: requests per CPU second are more reliable "
            "than the rate."
        )
    limited = [
        name
        for name, medians in scenario["medians"].items()
        if medians.get("load_busy", 0.0) >= LOAD_IS_FULL and medians.get("server_busy", 1.0) < SERVER_IS_IDLE
    ]
    if limited and scenario["kind"] != "open loop":
        found.append(
            f"The load's CPU was full before the server's with {', '.join(limited)}: there, requests per CPU second "
            "are more meaningful than the rate."
        )
    return found


def is_missed(scenario: ScenarioResult) -> bool:
    return any(target["mark"] == Mark.MISSED.value for target in scenario["targets"])


def terminal(results: Results) -> str:
    parts = []
    for scenario in results["scenarios"]:
        parts.append(f"{scenario['title']}\n\n{scenario_table(scenario)}")
        parts.extend(remarks(scenario))
    return "\n\n".join([*parts, targets_table(results), targets_summary(results)]) + "\n"
