"""From the results to words: the table that the terminal shows, and docs/reliability.md."""

from __future__ import annotations

from typing import Any

from bench.report import table

Results = dict[str, Any]
Row = dict[str, Any]

REACHED, MISSED, NOT_DONE = "✓", "✗", "-"
HEADING = (
    "",
    "server",
    "no connection",
    "sent",
    "answered",
    "refused",
    "aborted",
    "closed idle",
    "lost",
    "hung",
    "wrong",
    "twice",
    "slowest",
    "",
)
WORDS = """\
| word | a request that |
| --- | --- |
| no connection | could not even connect |
| sent | was written to a connection that the server, or its kernel, had accepted |
| answered | got its own answer, whole: its token, its length, its content |
| refused | got a whole answer that says no (500, 503, 504) |
| aborted | was cut because the worker that held it had been killed (by us, or by the kernel for us) |
| closed idle | met the close of its kept connection, and was not run; a proxy may repeat it if it is a GET |
| lost | was accepted and got no whole answer, though nobody had killed its worker |
| hung | got neither an answer nor an end within 8 s |
| wrong | got somebody else's answer, or a false one |
| twice | was run more than once |
| slowest | of the answered, over what the request was told to take |"""


def mark(row: Row) -> str:
    return NOT_DONE if row["not_done"] else REACHED if row["is_reached"] else MISSED


def why(row: Row) -> str:
    """What was not as expected, in one line."""
    found = [f"{count} {name}" for name, count in row["unexpected"].items()]
    return "; ".join([*found, *row["faults"]])


def cells(title: str, row: Row) -> tuple[str, ...]:
    if row["not_done"]:
        return (title, row["server"], *[""] * (len(HEADING) - 3), NOT_DONE)
    counts = row["counts"]
    names = ("answered", "refused", "aborted", "closed idle", "lost", "hung", "wrong")
    numbers = [counts["without a connection"], row["sent"], *(counts[name] for name in names), row["twice"]]
    shown = f"{row['slowest']:.2f} s"
    return (title, row["server"], *(str(number) if number else "" for number in numbers), shown, mark(row))


def results_table(results: Results) -> str:
    rows = []
    for scenario in results["scenarios"]:
        for number, row in enumerate(scenario["rows"]):
            rows.append(cells(scenario["title"] if not number else "", row))
    return table(HEADING, rows)


def faults_list(scenario: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if all(row["is_reached"] for row in scenario["rows"]):
        return [f"{REACHED} {' and '.join(row['server'] for row in scenario['rows'])}"]
    for row in scenario["rows"]:
        if row["not_done"]:
            lines.append(f"* - {row['server']}: not done: {row['not_done']}")
        elif row["is_reached"]:
            lines.append(f"* {REACHED} {row['server']}")
        else:
            lines.append(f"* {MISSED} {row['server']}: {why(row)}")
    return lines


def summary(results: Results) -> str:
    """How many scenarios each server went through without a fault."""
    lines = []
    for server, version in results["versions"].items():
        rows = [row for scenario in results["scenarios"] for row in scenario["rows"] if row["server"] == server]
        done = [row for row in rows if not row["not_done"]]
        reached = sum(row["is_reached"] for row in done)
        lines.append(f"{server} {version}: {reached} of {len(done)} as expected of a server that drops nothing")
    return "\n".join(f"* {line}" for line in lines)


def terminal(results: Results) -> str:
    parts = [results_table(results)]
    for scenario in results["scenarios"]:
        if not all(row["is_reached"] for row in scenario["rows"]):
            lines = [f"{scenario['title']} ({scenario['name']})", *faults_list(scenario)]
            for row in scenario["rows"]:
                lines += [f"    {row['server']}: {example}" for example in row["examples"] if not row["is_reached"]]
            parts.append("\n".join(lines))
    return "\n\n".join([*parts, summary(results)]) + "\n"


def document(results: Results) -> str:
    """docs/reliability.md."""
    start = results["start"]
    parts = [
        "# What is dropped when something goes wrong?",
        (
            "Written by `make faults` from real servers; change nothing by hand. The numbers, with examples of what "
            "went wrong, are in [reliability.json](reliability.json). `make faults QUICK=1` takes two minutes and "
            "writes nothing here."
        ),
        (
            f"Each server runs {start['workers']} workers of {start['threads']} threads (gunicorn's worker is gthread) "
            f"with the same times: `--timeout {start['timeout']}` unless a scenario says otherwise, "
            f"`--graceful-timeout {results['graceful']}`, `--keep-alive {results['keep_alive']}`, and an access log. "
            f"{results['kept']} clients keep their connections and {results['fresh']} open one for each request, "
            "without a proxy between; they ask for short and long answers, send content, and pause 10 ms. Nothing is "
            "asked for twice. The load is light on purpose: how fast the servers are is "
            "[another page](benchmarks/README.md)."
        ),
        (
            "Every request carries a token of its own. The application writes it to a journal when it runs, and "
            "repeats it in its answer, so a request that is run twice, or answered with another's answer, is found. "
            "Before a worker is killed it is stopped, and its sockets are listed: *aborted* is told from *lost* by "
            "what that worker really held."
        ),
        WORDS,
        "## In one table",
        summary(results),
        results_table(results),
        (
            f"{REACHED}: everything is as a server that drops nothing would have it. {MISSED}: something is not; what, "
            "stands below. An empty cell is 0."
        ),
        "## One by one",
    ]
    for scenario in results["scenarios"]:
        parts += [f"### {scenario['title'][0].upper()}{scenario['title'][1:]}", scenario["what"]]
        parts.append("\n".join(faults_list(scenario)))
    parts += [
        "## What this does not show",
        (
            "One run of a few seconds each, on one machine, is a sample, and no proof. The clock is moved inside the "
            "server's processes (Python's `time.time`, `time_ns` and `clock_gettime`), not in the "
            "kernel, and the monotonic clock goes on, as it does when an operator sets the wall clock. The full disk "
            "is `/dev/full` from the start, not one that fills. The load speaks plain HTTP/1.1 to the server itself; "
            "behind a proxy that repeats requests, less is seen of what is closed or refused."
        ),
        "## Where",
        table(("", ""), [*results["machine"].items(), *results["versions"].items()]),
    ]
    return "\n\n".join(parts) + "\n"
