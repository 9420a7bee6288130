"""The live status page: one document, nothing loaded from anywhere, fed from `/status.json` every two seconds."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Ropewalk</title>
<style>
:root {
  --paper: #f5f1e8; --card: #fffdf8; --ink: #22303c; --faint: #596772; --line: #ddd5c5;
  --rope: #b58a4a; --sea: #1f6f8b; --good: #357546; --warn: #93580a; --bad: #b23a2e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12191f; --card: #1a242c; --ink: #e4e2da; --faint: #8f9ba4; --line: #2c3943;
    --rope: #d3a765; --sea: #5cb3d0; --good: #6fbf84; --warn: #e0a23c; --bad: #e5766a;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main, header { max-width: 1120px; margin: 0 auto; padding: 0 20px }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 16px; padding-top: 26px }
h1 { font: 600 26px/1.2 Georgia, serif; margin: 0; letter-spacing: .02em }
h2 { font: 600 13px/1.2 system-ui, sans-serif; margin: 0 0 12px; color: var(--faint);
  text-transform: uppercase; letter-spacing: .08em }
#about { color: var(--faint); margin-left: auto; font-variant-numeric: tabular-nums }
.rope { height: 8px; margin: 14px 0 22px; border-radius: 4px; background: repeating-linear-gradient(
  115deg, var(--rope) 0 9px, color-mix(in srgb, var(--rope) 55%, var(--paper)) 9px 12px) }
.pill { padding: 2px 11px; border-radius: 99px; font-size: 13px; font-weight: 600; color: var(--paper);
  background: var(--good) }
.pill.warn { background: var(--warn) } .pill.bad { background: var(--bad) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(155px, 1fr)); gap: 12px; margin-bottom: 12px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0 }
.card b { display: block; font: 600 27px/1.2 Georgia, serif; font-variant-numeric: tabular-nums }
.card span { color: var(--faint); font-size: 13px }
.wide { margin-bottom: 12px; overflow-x: auto }
svg { display: block; width: 100%; height: 120px }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; margin-bottom: 12px }
@media (max-width: 760px) { .two { grid-template-columns: minmax(0, 1fr) } }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
td:last-child, th:last-child { padding-left: 12px }
th { text-align: left; font-weight: 500; color: var(--faint); font-size: 13px; padding: 0 10px 6px 0;
  white-space: nowrap }
td { padding: 6px 10px 6px 0; border-top: 1px solid var(--line); white-space: nowrap }
td.long { white-space: normal; overflow-wrap: anywhere; font-family: ui-monospace, monospace; font-size: 13px }
td.long div { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden }
.n { text-align: right }
.bar { display: flex; height: 10px; border-radius: 5px; overflow: hidden; background: var(--line) }
.two .card { display: flex; flex-direction: column }
.bars { display: flex; align-items: flex-end; gap: 3px; flex: 1; min-height: 96px }
.bars i { flex: 1; min-width: 0; background: var(--sea); border-radius: 3px 3px 0 0; opacity: .9 }
.scale { position: relative; height: 20px; color: var(--faint); font-size: 12px; margin-top: 4px }
.scale span { position: absolute; transform: translateX(-50%); white-space: nowrap }
.scale span:first-child { transform: none }
.card b.bad { color: var(--bad) }
#notice { border-color: var(--bad); color: var(--bad); margin-bottom: 12px; overflow-wrap: anywhere }
.dot { display: inline-block; width: 9px; height: 9px; border-radius: 50%; background: var(--good); margin-right: 7px }
.dot.warn { background: var(--warn) } .dot.bad { background: var(--bad) }
.none { color: var(--faint) }
@media (max-width: 640px) {
  .workers thead { display: none }
  .workers tr { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; padding: 10px 0;
    border-top: 1px solid var(--line) }
  .workers tr:first-child { border-top: 0; padding-top: 0 }
  .workers td { border: 0; padding: 0; text-align: left }
  .workers td::before { content: attr(data-name); display: block; color: var(--faint); font-size: 12px }
  .workers td:last-child { grid-column: 1 / -1; padding: 0 }
}
footer { color: var(--faint); font-size: 13px; padding: 6px 0 30px } footer a { color: var(--sea) }
</style>
</head>
<body>
<header><h1>Ropewalk</h1><span class="pill warn" id="ready">loading</span><span id="about"></span></header>
<main>
<div class="rope"></div>
<div class="card" id="notice" hidden></div>
<div class="cards" id="cards"></div>
<div class="card wide"><h2>Requests per second<span id="peak"></span></h2><svg id="graph"
 viewBox="0 0 600 120" preserveAspectRatio="none" role="img" aria-label="Requests per second over the last minutes">
</svg></div>
<div class="two">
<div class="card"><h2>Response time<span id="when"></span></h2>
<div class="bars" id="bars"></div><div class="scale" id="scale"></div></div>
<div class="card"><h2>Longest-running requests</h2><table><tbody id="slow"></tbody></table></div>
</div>
<div class="card wide"><h2>Workers</h2><table class="workers"><thead><tr><th>process</th><th>state</th>
<th class="n">age</th><th class="n">memory</th>
<th class="n">in flight</th><th class="n">waiting</th><th class="n">connections</th>
<th>threads: active, limit, parked</th></tr></thead><tbody id="workers"></tbody></table></div>
<footer>Refreshes every two seconds. <a href="metrics">Metrics for Prometheus</a>,
<a href="status.json">status as JSON</a>.</footer>
</main>
<script>
"use strict";
const $ = id => document.getElementById(id);
const el = (tag, text, className) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
};
const sum = table => Object.values(table || {}).reduce((a, b) => a + b, 0);
const size = n => n >= 2 ** 30 ? (n / 2 ** 30).toFixed(1) + " GiB" : n >= 2 ** 20 ? (n / 2 ** 20).toFixed(0) + " MiB"
  : (n / 1024).toFixed(0) + " KiB";
const count = n => n >= 1e7 ? (n / 1e6).toFixed(0) + " M" : n >= 1e4 ? (n / 1e3).toFixed(0) + " k" : String(n);
const rate = n => n >= 100 ? n.toFixed(0) : n.toFixed(1);
const time = s => s === null ? "\\u2013" : s < 0.001 ? "<1 ms" : s < 1 ? (s * 1000).toFixed(0) + " ms" : s < 90
  ? s.toFixed(1) + " s" : s < 5400 ? (s / 60).toFixed(0) + " min" : s < 172800 ? (s / 3600).toFixed(1) + " h"
  : (s / 86400).toFixed(1) + " d";
const rates = [], samples = [];
let last = null;

function quantile(buckets, share) {
  const wanted = sum(buckets) * share;
  let below = 0;
  if (wanted) for (const [end, n] of ordered(buckets)) if ((below += n) >= wanted) return end;
  return null;
}
function ordered(buckets) {
  const ends = Object.entries(buckets || {}).map(([end, n]) => [end === "+Inf" ? Infinity : +end, n]);
  return ends.sort((a, b) => a[0] - b[0]);
}
function since(before, now) {
  return Object.fromEntries(Object.entries(now || {}).map(([key, n]) => [key, n - ((before || {})[key] || 0)]));
}
function card(label, value, title, isBad) {
  const e = el("div", undefined, "card");
  e.append(el("b", value, isBad ? "bad" : ""), el("span", label));
  if (title) e.title = title;
  return e;
}
function row(...cells) {
  const e = el("tr");
  for (const [content, className] of cells) {
    const cell = el("td", typeof content === "string" ? content : undefined, className);
    if (typeof content !== "string") cell.append(content);
    e.append(cell);
  }
  return e;
}
function clamped(text) {
  const e = el("div", text);
  e.title = text;
  return e;
}
function draw() {
  const most = Math.max(1, ...rates), slots = Math.max(30, rates.length), step = 600 / (slots - 1);
  const y = r => 114 - 104 * r / most;
  const points = rates.map((r, i) => `${((slots - rates.length + i) * step).toFixed(1)},${y(r).toFixed(1)}`);
  const ns = "http://www.w3.org/2000/svg", svg = $("graph");
  svg.replaceChildren();
  if (points.length < 2) return;
  $("peak").textContent = `, peak ${rate(most)}`;
  const make = (name, attributes) => {
    const e = document.createElementNS(ns, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    svg.append(e);
    return e;
  };
  make("polygon", {points: `${points[0].split(",")[0]},120 ${points.join(" ")} 600,120`, fill: "var(--sea)",
    opacity: .18});
  make("polyline", {points: points.join(" "), fill: "none", stroke: "var(--sea)", "stroke-width": 2,
    "vector-effect": "non-scaling-stroke"});
}
function show(s) {
  const t = s.totals, g = s.gauges, now = performance.now() / 1000;
  const responses = sum(t.responses), sent = t.sent_bytes;
  const seconds = last ? now - last.now : 0;
  const perSecond = last ? Math.max(0, responses - last.responses) / seconds : 0;
  if (last) rates.push(perSecond);
  if (rates.length > 150) rates.shift();
  const octets = last ? Math.max(0, sent - last.sent) / seconds : 0;
  last = {now, responses, sent};
  $("ready").textContent = s.ready ? "ready" : s.state;
  $("ready").className = "pill" + (s.ready ? "" : " warn");
  document.title = `${rate(perSecond)}/s \\u00b7 Ropewalk`;
  $("about").textContent = `${s.version} (${s.build}) \\u00b7 process ${s.pid} \\u00b7 up ${time(s.uptime)}`;
  const errors = t.responses["5xx"], over = t.refused["503"] || 0;
  samples.push(t);
  if (samples.length > 31) samples.shift();  // a minute
  const first = samples[0], minute = since(first.duration.buckets, t.duration.buckets);
  const isRecent = sum(minute) > 0, b = isRecent ? minute : t.duration.buckets;
  const q = isRecent ? since(first.queue.buckets, t.queue.buckets) : t.queue.buckets;
  const isMore = (table, before, key) => table[key] > (before[key] || 0);
  const lost = sum(t.log_lost);
  $("when").textContent = isRecent ? ", last minute" : ", since start";
  $("notice").hidden = !s.last_reload_failure;
  $("notice").textContent = `The last reload failed: ${s.last_reload_failure}`;
  $("cards").replaceChildren(
    card("requests per second", rate(perSecond)),
    card("responses", count(responses), JSON.stringify(t.responses)),
    card("in flight", String(g.in_flight)),
    ...(g.streaming ? [card("of them streams", String(g.streaming))] : []),
    card("waiting for a thread", String(g.waiting)),
    ...(g.waiting_for_clients ? [card("threads waiting for clients", String(g.waiting_for_clients))] : []),
    card("p50 response time", time(quantile(b, .5))),
    card("p99 response time", time(quantile(b, .99))),
    ...(sum(q) ? [card("p99 queue time", time(quantile(q, .99)))] : []),
    card("sent per second", size(octets)),
    ...(sum(g.buffered_bytes) ? [card("buffered", size(sum(g.buffered_bytes)), JSON.stringify(g.buffered_bytes))] : []),
    card("errors (5xx)", count(errors), undefined, isMore(t.responses, first.responses, "5xx")),
    card("refused", count(sum(t.refused)), JSON.stringify(t.refused)),
    card("overload (503)", count(over), JSON.stringify(t.shed), isMore(t.refused, first.refused, "503")),
    ...(sum(t.closed_idle) ? [card("closed idle", count(sum(t.closed_idle)), JSON.stringify(t.closed_idle))] : []),
    card("workers died", String(s.events.died), JSON.stringify(s.events)),
    ...(lost ? [card("log lines lost", count(lost), JSON.stringify(t.log_lost), true)] : []),
  );
  draw();
  const list = ordered(b), most = Math.max(1, ...list.map(x => x[1]));
  $("bars").replaceChildren(...list.map(([end, n]) => {
    const e = el("i");
    e.style.height = n ? Math.max(2, 100 * n / most) + "%" : "1px";
    e.title = `${end === Infinity ? "longer" : "up to " + time(end)}: ${n}`;
    return e;
  }));
  $("scale").replaceChildren(...list.flatMap(([end], i) => {
    if (i % 4 || end === Infinity) return [];
    const e = el("span", time(end));
    e.style.left = `${100 * (i ? i + .5 : 0) / list.length}%`;
    return [e];
  }));
  const slow = s.workers.flatMap(w => (w.snapshot ? w.snapshot.running : []).map(r => [w.pid, r]))
    .sort((a, b) => b[1].seconds - a[1].seconds).slice(0, 6);
  $("slow").replaceChildren(...(slow.length ? slow.map(([pid, r]) =>
    row([time(r.seconds), "n"], [clamped(r.request), "long"], [String(pid), "none"]))
    : [row(["none", "none"])]));
  const names = [...document.querySelectorAll(".workers th")].map(e => e.textContent);
  $("workers").replaceChildren(...s.workers.map(w => {
    const h = w.snapshot && w.snapshot.gauges, th = h && h.threads;
    const state = el("span"), bad = !h && !["booting", "stale"].includes(w.state);
    state.append(el("i", undefined, "dot" + (bad ? " bad" : w.state === "ready" ? "" : " warn")), bad
      ? w.state + ", does not respond" : w.state);
    const share = h ? 100 * th.active / Math.max(1, th.active + th.parked) : 0;
    const bar = el("div", undefined, "bar"), on = el("i");
    on.style.cssText = `width:${share}%;background:var(--rope)`;
    bar.append(on);
    const threads = el("div");
    threads.append(el("span", h ? `${th.active}, ${th.limit}, ${th.parked}` : "\\u2013"), bar);
    const n = read => h ? String(read(h)) : "\\u2013";
    const r = row([String(w.pid)], [state], [time(w.age), "n"], [size(w.resident), "n"], [n(h => h.in_flight), "n"],
      [n(h => h.waiting), "n"], [n(h => sum(h.connections)), "n"], [threads]);
    [...r.children].forEach((cell, i) => { cell.dataset.name = names[i]; });
    return r;
  }));
}
async function ask() {
  try {
    show(await (await fetch("status.json", {cache: "no-store"})).json());
  } catch (error) {
    $("ready").textContent = "unreachable";
    $("ready").className = "pill bad";
  }
  setTimeout(ask, 2000);
}
ask();
</script>
</body>
</html>
"""
