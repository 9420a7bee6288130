"""A picture of the traffic: for each second its requests, the failed ones, and the slowest, with the steps below."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from kit.prove.traffic import Report

WIDTH, LEFT, RIGHT = 1100, 64, 24
RATE_TOP, RATE_HEIGHT = 48, 120
SLOW_TOP, SLOW_HEIGHT = 208, 90
STEPS_TOP, ROW = 330, 22

STYLE = """
:root {
  --ink: #1c2733; --soft: #5b6875; --paper: #fbfaf7; --line: #d9d3c7;
  --ok: #3d7a5a; --bad: #b3372b; --slow: #a8763e; --step: #c9d6e2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e9e5dc; --soft: #9ba6b0; --paper: #161c22; --line: #2c363f;
    --ok: #6fb58f; --bad: #e2685b; --slow: #d09a5b; --step: #2f4256;
  }
}
svg { background: var(--paper); }
text { fill: var(--ink); font: 13px system-ui, sans-serif; }
.soft { fill: var(--soft); font-size: 12px; }
.ok { fill: var(--ok); }
.bad { fill: var(--bad); }
.slow { fill: var(--slow); }
.step { fill: var(--step); }
.line { stroke: var(--line); }
"""


def draw(report: Report, steps: Sequence[tuple[str, float, float]]) -> str:
    """As SVG. `steps`: the name of each, and when it ran, in seconds since the start of the traffic."""
    rows = report.by_second()
    seconds = max([1, *(row[0] + 1 for row in rows), *(int(ended) + 1 for _, _, ended in steps)])
    scale = (WIDTH - LEFT - RIGHT) / seconds
    most = max((row[1] for row in rows), default=1)
    slowest = max(report.slowest, 0.001)
    height = STEPS_TOP + ROW * len(steps) + 40
    result = f"{len(report.failed)} failed of {len(report.requests)} requests, slowest {report.slowest:.3f} s"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{result}">',
        f"<style>{STYLE}</style>",
        f'<text x="{LEFT}" y="28">{result}</text>',
        _axis(RATE_TOP, RATE_HEIGHT, f"{most}/s"),
        _axis(SLOW_TOP, SLOW_HEIGHT, f"{slowest:.2f} s"),
        f'<text class="soft" x="{LEFT}" y="{SLOW_TOP - 6}">slowest response of each second</text>',
    ]
    for second, count, failed, slow in rows:
        x = LEFT + second * scale
        parts.append(_bar("ok", x, scale, RATE_TOP, RATE_HEIGHT, (count - failed) / most))
        if failed:
            # at least two pixels: a single lost request has to be seen
            share = max(failed / most, 2 / RATE_HEIGHT)
            parts.append(_bar("bad", x, scale, RATE_TOP, RATE_HEIGHT, share))
        parts.append(_bar("slow", x, scale, SLOW_TOP, SLOW_HEIGHT, slow / slowest))
    for number, (name, started, ended) in enumerate(steps):
        y = STEPS_TOP + ROW * number
        x, width = LEFT + started * scale, max((ended - started) * scale, 2)
        parts.append(f'<rect class="step" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 6}" rx="3"/>')
        is_right = x + width + 260 > WIDTH
        place = f'x="{x - 6:.1f}" text-anchor="end"' if is_right else f'x="{x + width + 6:.1f}"'
        parts.append(f'<text {place} y="{y + 13}">{escape(name)}, {ended - started:.1f} s</text>')
    foot = height - 16
    parts += [
        f'<text class="soft" x="{LEFT}" y="{foot}">0 s</text>',
        f'<text class="soft" x="{WIDTH - RIGHT}" y="{foot}" text-anchor="end">{seconds} s</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axis(top: int, height: int, label: str) -> str:
    bottom = top + height
    return (
        f'<line class="line" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>'
        f'<text class="soft" x="{LEFT - 8}" y="{top + 10}" text-anchor="end">{label}</text>'
    )


def _bar(kind: str, x: float, width: float, top: int, height: int, share: float) -> str:
    tall = share * height
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{top + height - tall:.1f}" width="{max(width - 0.5, 0.5):.1f}"'
        f' height="{tall:.1f}"/>'
    )
