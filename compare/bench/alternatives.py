"""What else the pool could do, beside what it does: `python -m bench.alternatives [GROUP ...]`.

Each alternative is the server as it is, altered when its application is imported (applications/altered.py), in rounds
interleaved with the others of its group. Writes docs/benchmarks/alternatives.json, in which the groups that were not
measured stay as they are, and from it docs/benchmarks/alternatives.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.__main__ import DOCS, check_writable, usage_error
from bench.backends import BACKENDS, SERVER, Backend, Start, tool
from bench.machine import machine
from bench.measure import Sample, Terms, closed, terms
from bench.report import table
from bench.rounds import say
from bench.running import StartError, allow_many_descriptors, free_address, running
from bench.scenarios import SCENARIOS, Scenario
from bench.targets import shown
from bench.verify import fault
from bench.wrk import LoadError

NOW = "as it is"
LOADED = "load average at the start"
ROUNDS, SECONDS = 4, 2.0

BY_NAME = {one.name: one for one in SCENARIOS}
USUAL = tuple(BY_NAME[name] for name in ("hello", "django", "computes", "some"))
FEW = replace(BY_NAME["hello"], name="hello-2", title="hello, 2 connections", connections=2)
MANY_DJANGO = replace(BY_NAME["django"], name="django-256", title="Django, JSON, 256 connections", connections=256)

POOL, CONTROLLER, CONNECTION = "ropewalk.threads.pool", "ropewalk.threads.controller", "ropewalk.net.connection"
QUEUED = "elif self.terms.queued:"
QUEUEING = "self.terms.again(self)  # by the time it is its turn a busy peer has sent the next one"
READING_AT_ONCE = """\
try:
    data = self.sock.recv(RECEIVE_OCTETS)
except BlockingIOError:
    self._arm(self.fd, READABLE)
else:
    if data:
        receiver.buffer += data
        self._is_again = True
        self.terms.again(self)
    else:
        self.close()
"""

HEADING = ("", "", "req per CPU second", "x now", "best", "x now", "req/s, best", "p99", "best", "failures")

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alternative:
    """`alter` is told in applications/altered.py; `options` are more words of the command line."""

    name: str
    alter: dict[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Alternatives that are compared with one another. `found` says what came of them, and stands on the page."""

    title: str
    alternatives: tuple[Alternative, ...]
    scenarios: tuple[Scenario, ...] = USUAL
    found: str = ""


def constants(paths: tuple[str, ...], values: tuple[float, ...], told: Callable[[float], str]) -> list[Alternative]:
    """One for each value of a constant, which may stand in several modules; the value that it has is `NOW`'s."""
    sys.path.insert(0, str(SERVER))
    module, _, name = paths[0].rpartition(".")
    now = getattr(importlib.import_module(module), name)
    return [
        Alternative(f"{told(value)}, {NOW}")
        if value == now
        else Alternative(told(value), {"values": dict.fromkeys(paths, value)})
        for value in values
    ]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:g} ms"


def groups() -> dict[str, Group]:
    return {
        "batch": Group(
            "How many requests are received, run and sent together",
            tuple(constants((f"{POOL}.BATCH",), (1, 4, 8, 16, 32, 64), str)),
            found=(
                "One request at a time costs a framework a seventh more. Past 16 the gain is within the noise, and the "
                "first answer of a batch waits longer."
            ),
        ),
        "rescue": Group(
            "How often the controller looks while requests run",
            tuple(
                constants(
                    (f"{CONTROLLER}.RESCUE_INTERVAL", f"{POOL}.RESCUE_INTERVAL"),
                    (0.0005, 0.001, 0.002, 0.005, 0.010),
                    milliseconds,
                )
            ),
            found=(
                "The rate does not tell them apart: looks are cheap. Too few of them show in p99 of what computes. How "
                "long a finished answer waits beside one that blocks, which is what the interval decides, is a row of "
                "its own in [README.md](README.md)."
            ),
        ),
        "tune": Group(
            "How often it compares CPU time to wall time",
            tuple(constants((f"{CONTROLLER}.TUNE_INTERVAL",), (0.005, 0.020, 0.100), milliseconds)),
            found="A load that stays the same does not tell them apart; how soon one that changes settles is a row.",
        ),
        "climber": Group(
            "A hill climber in the controller's place: a step, and back if less was finished",
            (
                Alternative(NOW),
                *(
                    Alternative(
                        f"climber, every {milliseconds(seconds)}",
                        {"controller": "climber", "values": {f"{CONTROLLER}.TUNE_INTERVAL": seconds}},
                    )
                    for seconds in (0.020, 0.100)
                ),
            ),
            found=(
                "It finds the same numbers, but goes on trying: more threads than compute at once now and then, which "
                "p99 of what computes pays for."
            ),
        ),
        "switch": Group(
            "After how long a thread that waits for the interpreter asks for it (`sys.setswitchinterval`)",
            tuple(
                Alternative(f"{milliseconds(seconds)}, {NOW}")
                if seconds == sys.getswitchinterval()
                else Alternative(milliseconds(seconds), {"calls": {"sys.setswitchinterval": [seconds]}})
                for seconds in (0.0005, 0.001, 0.005, 0.020)
            ),
            found="Nearly nothing: as long as one thread is enough, nobody else asks for the interpreter.",
        ),
        "collector": Group(
            "What the cycle collector goes through",
            (
                Alternative(f"{NOW}: what was inherited is frozen"),
                Alternative(
                    "frozen when the application is loaded as well", {"calls": {"gc.collect": [], "gc.freeze": []}}
                ),
                Alternative("loaded and frozen before the fork (`--preload`)", options=("--preload",)),
                Alternative("no collector at all", {"calls": {"gc.disable": []}}),
            ),
            found=("Not the rate, even with no collector at all: a request leaves it nothing. Freezing saves memory."),
        ),
        "unpolled": Group(
            "How many batches are taken from the queue between two looks into the epoll",
            tuple(constants((f"{POOL}.MAX_UNPOLLED",), (1, 4, 16), str)),
            scenarios=(*USUAL[:2], BY_NAME["many"], MANY_DJANGO),
            found="Nothing that could be seen: usual connections do not queue themselves again.",
        ),
        "again": Group(
            "Reading again before a connection is armed",
            (
                Alternative(f"{NOW}: read behind others that are queued, else armed"),
                Alternative("armed each time", {"edits": {f"{CONNECTION}.Connection._sent": [QUEUED, "elif False:"]}}),
                Alternative(
                    "read behind the queue each time",
                    {"edits": {f"{CONNECTION}.Connection._sent": [QUEUED, "elif True:"]}},
                ),
                Alternative(
                    "read at once while others are queued",
                    {"edits": {f"{CONNECTION}.Connection._sent": [QUEUEING, READING_AT_ONCE]}},
                ),
            ),
            scenarios=(FEW, BY_NAME["hello"], BY_NAME["many"], BY_NAME["django"], MANY_DJANGO),
            found=(
                "At once is too early: the peer has only just been sent its answer, and the call is in vain. Behind "
                "the rest of the queue its next request is there as a rule, and two calls of the epoll are saved: most "
                "with many connections. A server with little to do would pay for a call in vain each time, so only "
                "those that have others before them in the queue are read again, and not for eight answers once it "
                "was in vain: this load asks again at once, as a proxy may and a browser does not."
            ),
        ),
        "joined": Group(
            "Head and content of an answer, copied together or written in two parts (`sendmsg`)",
            (
                Alternative(f"{NOW}: copied up to 16 KiB"),
                Alternative("never copied", {"values": {f"{CONNECTION}.MAX_JOINED": 0}}),
                Alternative("copied up to 4 KiB", {"values": {f"{CONNECTION}.MAX_JOINED": 4096}}),
            ),
            scenarios=(BY_NAME["hello"], BY_NAME["django"], BY_NAME["echo"]),
            found="To copy is no dearer up to 10 KiB, and cheaper where the content is short.",
        ),
    }


def sample(scenario: Scenario, alternative: Alternative, run: Terms) -> Sample:
    """Raises `StartError` or `LoadError`."""
    usual = BACKENDS["ropewalk"]
    backend = Backend(alternative.name, "", lambda start: [*usual.command(start), *alternative.options])
    environ = {"BENCH_APPLICATION": scenario.application, "BENCH_ALTER": json.dumps(alternative.alter)}
    with running(backend, Start("altered", free_address()), run.environ | environ, scenario.path) as server:
        wrong = fault(scenario, server.bind)
        if wrong:
            raise StartError(f"answers wrongly: {wrong}")
        return closed(scenario, server, server.bind, run.seconds)


def measure(group: Group, run: Terms, rounds: int) -> Results:
    """By scenario and alternative, what each round gave, or why it gave nothing."""
    found: Results = {one.title: {each.name: [] for each in group.alternatives} for one in group.scenarios}
    for number in range(rounds):
        turn = number % len(group.alternatives)
        for scenario in group.scenarios:
            say(f"{group.title}: round {number + 1}, {scenario.title}: ")
            for alternative in group.alternatives[turn:] + group.alternatives[:turn]:
                try:
                    one = sample(scenario, alternative, run)
                except (StartError, LoadError) as error:
                    found[scenario.title][alternative.name].append({"fault": str(error)})
                    say("!")
                else:
                    told = {metric: one[metric] for metric in ("rate", "rate_cpu", "p99", "failures")}
                    found[scenario.title][alternative.name].append(told)
                    say(".")
            say("\n")
    return found


def section(group: Group, results: Results) -> list[str]:
    """What one group gave, as a part of the page."""
    rows = []
    for title, samples in results["samples"].items():
        for number, alternative in enumerate(group.alternatives):
            rows.append((title if not number else "", alternative.name, *cells(samples, alternative.name)))
    about = f"{results['rounds']} rounds of {results['seconds']:g} s, {results['date']}, commit {results['commit']}, "
    about += f"{results['where']}, {results['python']}, {LOADED} {results.get(LOADED, 'unknown')}."
    return [f"## {group.title}", *([group.found] if group.found else []), table(HEADING, rows), about]


def cells(samples: dict[str, Any], name: str) -> tuple[str, ...]:
    """Requests per CPU second, each with its ratio to those of what is now, and p99: of the median and the best."""
    faults = [one["fault"] for one in samples.get(name, []) if "fault" in one]
    own = good(samples.get(name, []))
    if not own:
        return faults[0] if faults else "not measured", *[""] * (len(HEADING) - 3)
    usual = good(next((found for other, found in samples.items() if NOW in other), []))
    told = []
    for of in (statistics.median, max):
        rate = of([one["rate_cpu"] for one in own])
        told += [shown("rate", rate), f"{rate / of([one['rate_cpu'] for one in usual]):.2f}" if usual else ""]
    told.append(shown("rate", max(one["rate"] for one in own)))
    told += [shown("p99", of([one["p99"] for one in own])) for of in (statistics.median, min)]
    lost = f", and {len(faults)} rounds: {faults[0]}" if faults else ""
    return *told, shown("failures", sum(one["failures"] for one in own)) + lost


def good(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in samples if "fault" not in one]


def document(kept: Results) -> str:
    """The page."""
    parts = [
        "# What else could the pool do?",
        (
            "Written by `compare/bench/run bench.alternatives` from [alternatives.json](alternatives.json); change "
            "nothing by hand. Beside other servers: [README.md](README.md)."
        ),
        (
            "Each row is the server as it is with one thing altered, measured in rounds interleaved with the others of "
            "its table: requests per second of its processor time, as a multiple also of those of the row "
            f"*{NOW}*, and p99; of each the median of the rounds and the best. Where others use the machine too, the "
            "best says more: they can only slow a round down. A difference of 0.03 is within what the same server "
            "differs by from one start to the next, one of 0.08 where the load average is above 2. Where requests "
            "block, processor time is little, and the rate says more. One process, 8 threads, 32 connections unless it "
            "says otherwise."
        ),
    ]
    known = groups()
    for name, results in kept.items():
        if name in known:
            parts += section(known[name], results)
            parts.append(f"`compare/bench/run bench.alternatives {name}`")
    lost = [f"`{name}`" for name in known if name not in kept]
    if lost:
        parts.append(f"Not measured yet: {', '.join(lost)}.")
    return "\n\n".join(parts) + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.alternatives", description="What else the pool could do.")
    parser.add_argument("group", nargs="*", help="only these: " + ", ".join(groups()))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load in each")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder for alternatives.json and alternatives.md")
    parser.add_argument("--render", action="store_true", help="measure nothing: the page anew from alternatives.json")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    known = groups()
    for name in options.group:
        if name not in known:
            usage_error(f"{name}: no such group; there are {', '.join(known)}")
    check_writable(options.output)
    path = options.output / "alternatives.json"
    kept: Results = json.loads(path.read_text()) if path.exists() else {}
    if not options.render:
        if tool("wrk") is None:
            say("bench: wrk is not installed: apt-get install wrk, or start a Docker engine\n")
            return 0
        allow_many_descriptors()
        facts = machine()
        about = {name: facts[name] for name in ("date", "commit", "where", "python", LOADED)}
        about |= {"rounds": options.rounds, "seconds": options.seconds}
        with terms(options.seconds) as run:
            for name in options.group or known:
                try:
                    kept[name] = about | {"samples": measure(known[name], run, options.rounds)}
                except KeyboardInterrupt:
                    say(f"\nbench: interrupted; {name} stays as it was\n")
                    break
                path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    kept = {name: kept[name] for name in known if name in kept}
    text = document(kept)
    (options.output / "alternatives.md").write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
