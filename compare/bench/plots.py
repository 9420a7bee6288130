"""A bar chart for each scenario, as SVG that reads on a light and on a dark page."""

from __future__ import annotations

from html import escape
from typing import Any

from bench.targets import shown

WIDTH, BAR, GAP, NAME_WIDTH, VALUE_WIDTH, TOP = 720, 18, 8, 160, 210, 34
OURS, OTHERS, SPREAD, TEXT = "#2a9d8f", "#8d99ae", "#e76f51", "#808080"


METRICS = {
    "start": "start",
    "open loop": "p99",
    "several workers": "busiest_kept",
    "a load that changes": "settle",
    "an answer held up": "held_short",
}
"""What is drawn, of the kinds in which it is not the rate: an open loop's is the same for everybody."""


def chart(scenario: dict[str, Any]) -> str:
    """Bars of the rate (or of what METRICS says), with a line from the least to the most, and p99 beside them."""
    metric = METRICS.get(scenario["kind"], "rate")
    medians = scenario["medians"]
    names = sorted(medians, key=lambda name: medians[name][metric], reverse=metric == "rate")
    longest = max((scenario["most"][name][metric] for name in names), default=1.0) or 1.0
    room = WIDTH - NAME_WIDTH - VALUE_WIDTH
    height = TOP + len(names) * (BAR + GAP) + GAP
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
            f'font-size="13" fill="{TEXT}">'
        ),
        f'<text x="0" y="16" font-weight="bold">{escape(scenario["title"])}</text>',
    ]
    for number, name in enumerate(names):
        y = TOP + number * (BAR + GAP)
        value = medians[name][metric]
        least, most = (scenario[which][name][metric] / longest * room for which in ("least", "most"))
        middle, text_y = y + BAR / 2, y + BAR - 5
        colour = OURS if name == "ropewalk" else OTHERS
        told = shown(metric, value)
        if metric == "rate":
            told += f" req/s, p99 {shown('p99', medians[name]['p99'])}"
        parts += [
            f'<text x="{NAME_WIDTH - 8}" y="{text_y}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{NAME_WIDTH}" y="{y}" width="{value / longest * room:.1f}" height="{BAR}" fill="{colour}"/>',
            (
                f'<path d="M{NAME_WIDTH + least:.1f} {middle}H{NAME_WIDTH + most:.1f}" stroke="{SPREAD}" '
                'stroke-width="2"/>'
            ),
            f'<text x="{NAME_WIDTH + room + 8}" y="{text_y}">{escape(told)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
