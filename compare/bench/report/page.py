"""The generated region of docs/benchmarks/README.md, and the files of a run."""

from __future__ import annotations

import json
from pathlib import Path

from bench.paths import PAGES
from bench.report.markdown import anchor, headings, replace_regions, table
from bench.report.plots import draw
from bench.report.tables import is_missed, remarks, scenario_table, targets_summary, targets_table
from bench.results import Results

LIMITS = PAGES / "limits.md"
RESULTS = "results.json"


def results_region(results: Results) -> str:
    """The results in Markdown."""
    explained = headings(LIMITS.read_text(), 2)
    parts = [
        "## Environment",
        (
            f"{rounds_text(*results['rounds'])} of {results['seconds']:g} s; each server has {results['threads']} "
            f"threads and the load {results['connections']} connections, unless the scenario says otherwise."
        ),
        table(("", ""), [*results["machine"].items()]),
        "## Targets",
        targets_summary(results),
        targets_table(results),
        "## Results",
    ]
    for scenario in results["scenarios"]:
        title = scenario["title"]
        parts += [f"### {title}", f"![{title}](plots/{scenario['name']}.svg)", scenario_table(scenario)]
        parts += remarks(scenario)
        if is_missed(scenario) and title in explained:
            parts.append(f"[Why a target is missed](limits.md#{anchor(title)})")
    parts += ["## Versions", table(("server", "version"), [*results["versions"].items()])]
    parts += [f"{name} is missing: {reason}" for name, reason in results["missing"].items()]
    return "\n\n".join(parts)


def unexplained(results: Results) -> list[str]:
    """The titles of the scenarios in which a target is missed, and which limits.md does not explain."""
    explained = headings(LIMITS.read_text(), 2)
    return [one["title"] for one in results["scenarios"] if is_missed(one) and one["title"] not in explained]


def rounds_text(least: int, most: int) -> str:
    return f"{least} rounds" if least == most else f"{least} to {most} rounds, more of the first scenarios,"


def load_results(folder: Path) -> Results:
    """Raises `OSError`."""
    results: Results = json.loads((folder / RESULTS).read_text())
    return results


def write(results: Results, folder: Path, data: Path) -> None:
    """Write README.md and plots/ to `folder`, and results.json to `data`."""
    plots = folder / "plots"
    for path in (folder, plots, data):
        path.mkdir(parents=True, exist_ok=True)
    (data / RESULTS).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    page = (PAGES / "README.md").read_text()
    (folder / "README.md").write_text(replace_regions(page, {"results": results_region(results)}))
    for scenario in results["scenarios"]:
        draw(scenario, plots / f"{scenario['name']}.svg")
