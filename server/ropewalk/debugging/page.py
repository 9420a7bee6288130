"""The pages about an exception: HTML for browsers, text for terminals, JSON for programs. Pure functions.

Everything that comes from the application or the request is escaped; the page runs nothing that it is sent, and only a
script of its own that waits for a change of a file.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from html import escape

from ropewalk._version import __version__
from ropewalk.debugging.report import Frame, Part, Report
from ropewalk.debugging.secrets import shown_environ
from ropewalk.wsgi.environ import Environ

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
}

STYLE = """
:root{color-scheme:light dark;--back:#fbfaf7;--text:#1d2326;--soft:#5b666c;--card:#fff;--line:#dcd8cf;--code:#f4f1ea;
--mark:#ffe9e2;--edge:#c8401c;--accent:#0b6e75}
@media(prefers-color-scheme:dark){:root{--back:#14181a;--text:#e6e6e2;--soft:#9aa5aa;--card:#1c2225;--line:#333c40;
--code:#171c1f;--mark:#4a241a;--edge:#ff8563;--accent:#6fd0d6}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main,header>div{max-width:66rem;margin:0 auto;padding:0 1rem}
header{background:var(--card);border-bottom:1px solid var(--line);border-top:.3rem solid var(--edge);padding:1.4rem 0}
h1{font-size:1.05rem;margin:0;color:var(--edge);overflow-wrap:anywhere}
.message{font-size:1.45rem;line-height:1.35;font-weight:600;margin:.25rem 0 .8rem;overflow-wrap:anywhere;
white-space:pre-wrap}
.where{color:var(--soft);margin:0;overflow-wrap:anywhere}
.waits{margin:.8rem 0 0;color:var(--accent)}
h2{font-size:1.1rem;margin:2rem 0 .6rem}
h3{font-size:1rem;margin:1.6rem 0 .5rem;overflow-wrap:anywhere}
code,pre,td,th{font:.875rem/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
details.frame{background:var(--card);border:1px solid var(--line);border-radius:.45rem;margin:.5rem 0;overflow:hidden}
details.installed{opacity:.85}
summary{cursor:pointer;padding:.55rem .8rem;overflow-wrap:anywhere}
summary:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
summary b{font-weight:600}summary .place{color:var(--soft)}
.installed>summary{color:var(--soft)}
pre{margin:0;overflow-x:auto;background:var(--code);padding:.5rem 0;tab-size:4}
pre.text{padding:.8rem;border:1px solid var(--line);border-radius:.45rem}
pre span{display:block;padding:0 .8rem;min-width:max-content}
pre span.now{background:var(--mark);box-shadow:inset .22rem 0 var(--edge)}
pre i{display:inline-block;width:3.4ch;margin-right:1.2ch;text-align:right;color:var(--soft);font-style:normal;
user-select:none}
.inner{border-top:1px solid var(--line)}
.inner>summary{font-size:.9rem;color:var(--accent)}
table{border-collapse:collapse;width:100%;table-layout:fixed}
td,th{text-align:left;vertical-align:top;padding:.3rem .8rem;border-top:1px solid var(--line);overflow-wrap:anywhere;
white-space:pre-wrap;font-weight:400}
th{width:34%;color:var(--accent)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.45rem;overflow:hidden}
.card tr:first-child>*{border-top:0}
footer{color:var(--soft);font-size:.875rem;margin:2.5rem 0}
@media(max-width:40rem){td,th{display:block;width:auto;padding:.15rem .8rem}td{border-top:0;padding-bottom:.4rem}
.message{font-size:1.2rem}}
"""

SCRIPT = """
const waits = document.querySelector(".waits");
const headers = {"X-Ropewalk-Wait": waits.dataset.generation};
const ask = () => fetch(location.href, {headers, cache: "no-store"});
// One tab at a time: a browser opens six connections to a server, and the next page would wait for one.
const locks = navigator.locks;
async function wait() {
  let failures = 0, pause = 50;
  for (;;) {
    const began = Date.now();
    try {
      const response = await (locks ? locks.request("ropewalk-wait", ask) : ask());
      if (response.status !== 205) {
        waits.textContent = "A file has changed: loading again …";
        location.reload();
        return;
      }
      failures = 0;
    } catch (error) {
      failures += 1;  // a connection may end with its worker
      if (failures > 1) waits.textContent = "The server does not respond.";
    }
    pause = Date.now() - began > 1000 ? 50 : Math.min(2 * pause, 1000);
    await new Promise(resolve => setTimeout(resolve, pause));
  }
}
wait();
"""


def render(report: Report, environ: Environ, kind: str, generation: str) -> tuple[bytes, str]:
    """The content and its Content-Security-Policy.

    The page loads itself again once a worker responds that is not of this `generation`; "": nothing watches files.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    if kind == "json":
        text = json.dumps(as_data(report), indent=2) + "\n"
    elif kind == "text":
        text = as_text(report, environ)
    else:
        text = "".join(_html(report, environ, nonce, generation))
    return text.encode(errors="backslashreplace"), policy


def as_text(report: Report, environ: Environ) -> str:
    """For a terminal: what Python prints, and the request."""
    intro = f"{report.scrubber.clean(report.intro)}\n\n" if report.intro else ""
    return f"{intro}{report.traceback}\n{report.scrubber.clean(_request_line(environ))}\n"


def as_data(report: Report) -> dict[str, object]:
    """For a program, without variables."""
    return {
        "error": report.kind,
        "message": report.message,
        "is_of_loading": report.is_of_loading,
        "traceback": [
            {"error": part.kind, "message": part.message, "frames": [_frame_data(frame) for frame in part.frames]}
            for part in report.parts
        ],
    }


def _frame_data(frame: Frame) -> dict[str, object]:
    current = next((text.strip() for number, text in frame.source if number == frame.line), "")
    return {"file": frame.file, "line": frame.line, "function": frame.function, "source": current}


def _request_line(environ: Environ) -> str:
    target = environ.get("RAW_URI") or environ.get("PATH_INFO", "")
    return f"{environ['REQUEST_METHOD']} {target}"


def _html(report: Report, environ: Environ, nonce: str, generation: str) -> Iterator[str]:
    reloads = generation and environ["REQUEST_METHOD"] in ("GET", "HEAD")
    clean = report.scrubber.clean
    heading = "The application cannot be loaded" if report.is_of_loading else clean(_request_line(environ))
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_esc(report.kind)}: {_esc(report.message[:100])}</title>"
        f'<style nonce="{nonce}">{STYLE}</style></head><body><header><div>'
        f'<p class="where">{_esc(heading)}</p><h1>{_esc(report.kind)}</h1>'
        f'<p class="message">{_esc(report.message or report.kind)}</p>'
    )
    last = report.parts[-1].frames
    if last:
        frame = next((each for each in reversed(last) if each.is_own), last[-1])
        yield f'<p class="where"><code>{_esc(frame.file)}</code>, line {frame.line}</p>'
    if reloads:
        yield (
            f'<p class="waits" role="status" data-generation="{_esc(generation)}">'
            "This page loads itself again when a file changes.</p>"
        )
    elif generation:
        yield '<p class="waits">Send the form again once this is mended: the page does not do that by itself.</p>'
    yield "</div></header><main>"
    link = ""
    for part in reversed(report.parts):
        yield from _part(part, link, is_only=len(report.parts) == 1)
        link = part.link
    yield f'<h2>As text</h2><pre class="text">{_esc(report.traceback)}</pre>'
    if not report.is_of_loading:
        yield from _request(report, environ)
    python = ".".join(map(str, sys.version_info[:3]))
    yield (
        f"<footer>Ropewalk {_esc(__version__)}, Python {python}. This page is for development: it is shown because of "
        f"{'--reload' if report.is_of_loading else '--debug'}. Values whose names sound secret are masked."
        "</footer></main>"
    )
    if reloads:
        yield f'<script nonce="{nonce}">{SCRIPT}</script>'
    yield "</body></html>\n"


def _part(part: Part, link: str, *, is_only: bool) -> Iterator[str]:
    """`link`: how the exception above, which came after this one, is linked to it."""
    title = "Stack, the most recent call last" if is_only else f"{part.kind}: {part.message}"
    if part.frames or not is_only:
        yield f"<h2>{_esc(title)}</h2>"
    if link:
        yield f'<p class="where">The exception above {_esc(link)}.</p>'
    own = [number for number, frame in enumerate(part.frames) if frame.is_own]
    shown = own[-1] if own else len(part.frames) - 1
    for number, frame in enumerate(part.frames):
        if part.left_out and number == len(part.frames) // 2:
            yield f'<p class="where">{part.left_out} more calls</p>'
        yield from _frame(frame, is_open=number == shown)


def _frame(frame: Frame, *, is_open: bool) -> Iterator[str]:
    place = f"{frame.file}:{frame.line}"
    yield (
        f'<details class="frame{"" if frame.is_own else " installed"}"{" open" if is_open else ""}>'
        f'<summary><code><b>{_esc(frame.function or "source")}</b> <span class="place">{_esc(place)}</span>'
        "</code></summary>"
    )
    if frame.source:
        lines = (
            f"<span{' class=now' if number == frame.line else ''}><i>{number}</i>{_esc(text) or ' '}</span>"
            for number, text in frame.source
        )
        yield f'<pre tabindex="0">{"".join(lines)}</pre>'
    if frame.variables:
        yield (
            f'<details class="inner"{" open" if is_open else ""}><summary>Variables ({len(frame.variables)})</summary>'
            f"{_table(frame.variables)}</details>"
        )
    yield "</details>"


def _request(report: Report, environ: Environ) -> Iterator[str]:
    rows = [(name, report.scrubber.clean(value)) for name, value in shown_environ(environ)]
    fields = [(_field_name(name), value) for name, value in rows if name.startswith("HTTP_")]
    rest = [(name, value) for name, value in rows if not name.startswith("HTTP_")]
    yield f"<h2>Request</h2><p><code>{_esc(report.scrubber.clean(_request_line(environ)))}</code></p>"
    yield f'<div class="card">{_table(fields)}</div>'
    yield (f'<h2>Environ</h2><details class="frame"><summary>{len(rest)} variables</summary>{_table(rest)}</details>')


def _table(rows: list[tuple[str, str]]) -> str:
    cells = (f'<tr><th scope="row">{_esc(name)}</th><td>{_esc(value)}</td></tr>' for name, value in rows)
    return f"<table>{''.join(cells)}</table>"


def _field_name(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def _esc(text: str) -> str:
    return escape(text, quote=True)
