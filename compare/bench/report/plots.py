"""A bar chart for each scenario, as an SVG that is legible on a light and on a dark page.

Matplotlib draws it. It is installed where the benchmark runs, not where the tests do.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from bench.report.tables import HEADINGS
from bench.results import ScenarioResult
from bench.targets import HIGHER_IS_BETTER, shown

METRICS = {
    "start": "start",
    "open loop": "p99",
    "several workers": "busiest_keep_alive",
    "load change": "settled",
    "response delay": "delay_short",
}
"""The metric to draw for the kinds in which it is not the rate."""

OURS, OTHERS, RANGE = "#2a9d8f", "#8d99ae", "#e76f51"
TEXT = "#767b84"  # contrast of 4.3 to white and of 4.5 to GitHub's dark background
WIDTH, BAR_HEIGHT, TITLE_HEIGHT = 7.2, 0.27, 0.36  # inches
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "ropewalk",  # the same results give the same file
    "text.color": TEXT,
}


class Bar(NamedTuple):
    server: str
    value: float
    least: float
    most: float
    label: str


def bars(scenario: ScenarioResult) -> list[Bar]:
    """The best server first."""
    metric = METRICS.get(scenario["kind"], "rate")
    found = []
    for server, medians in scenario["medians"].items():
        label = shown(metric, medians[metric])
        if metric == "rate":
            label += " requests/s"
        if metric == "rate" and scenario["kind"] != "pipelined requests":
            label += f", p99 {shown('p99', medians['p99'])}"
        least, most = scenario["least"][server][metric], scenario["most"][server][metric]
        found.append(Bar(server, medians[metric], least, most, label))
    return sorted(found, key=lambda bar: bar.value, reverse=metric in HIGHER_IS_BETTER)


def draw(scenario: ScenarioResult, path: Path) -> None:
    """Write the chart as SVG."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    data = bars(scenario)
    height = TITLE_HEIGHT + BAR_HEIGHT * max(1, len(data))
    longest = max((bar.most for bar in data), default=1.0) or 1.0
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(WIDTH, height))
        figure.patch.set_alpha(0)
        axes.set_axis_off()
        axes.set_position((0.21, 0, 0.47, 1 - TITLE_HEIGHT / height))
        axes.set_xlim(0, longest)
        axes.set_ylim(len(data) - 0.5, -0.5)
        for place, bar in enumerate(data):
            axes.barh(place, bar.value, height=0.7, color=OURS if bar.server.startswith("ropewalk") else OTHERS)
            axes.plot((bar.least, bar.most), (place, place), color=RANGE, linewidth=1.5)
            axes.text(-0.02 * longest, place, bar.server, ha="right", va="center")
            axes.text(1.02 * longest, place, bar.label, ha="left", va="center")
        figure.text(0, 1 - 0.14 / height, scenario["title"], weight="bold", va="center")
        if scenario["kind"] in METRICS:
            metric = HEADINGS[METRICS[scenario["kind"]]]
            figure.text(1, 1 - 0.28 / height, metric, ha="right", va="center")
        drawing = io.StringIO()
        figure.savefig(drawing, metadata={"Creator": None, "Date": None, "Title": scenario["title"]})
        pyplot.close(figure)
    path.write_text("".join(f"{line.rstrip()}\n" for line in drawing.getvalue().splitlines()))
