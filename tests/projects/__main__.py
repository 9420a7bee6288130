"""`make projects`: brings every project up in each way, and writes the table in docs/projects.md.

A row or column that is not asked for keeps what the table has.
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.paths import REPOSITORY
from tests.projects.run import BACKENDS, Trial, try_run, try_up
from tests.projects.shapes import SHAPES, Shape
from tests.projects.site import ProjectError

PAGE = REPOSITORY / "docs/projects.md"
COLUMNS = ("project", "shape", "found", "make run", *BACKENDS)
WAYS = ("run", *BACKENDS)

NOT_RUN, WORKS = "not run", "works"

HEAD = """# Projects of every shape

Written by `make projects`, which brings up each project in `tests/projects/` unedited, in a copy of the checkout: by
`make adopt` and `make run`, and by `make adopt` and `make up` on each backend. A project *works* if it serves its page
and its stylesheet, writes a row (and an upload, where it takes them), and has all of it again after a restart: of
`make run`, or after `make down` and `make up` with the other backend. Locks of uv and pylock.toml are written first, by
uv, from what the project lists.

"""

Cells = dict[str, str]


def read_table() -> dict[str, Cells]:
    """The rows of the page, by the name of the project."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"^\| .+\|$", text, re.M)]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in rows[2:]}


def write_table(table: dict[str, Cells]) -> None:
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for shape in SHAPES:
        cells = {**dict.fromkeys(COLUMNS, NOT_RUN), **table.get(shape.name, {})}
        cells |= {"project": shape.name, "shape": shape.text}
        lines.append("| " + " | ".join(cells[column] for column in COLUMNS) + " |")
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def results(shape: Shape, ways: list[str], tools: Path) -> Iterator[tuple[str, str]]:
    """Column and cell, as each is known. `tools`: where a copy of the tools of `make run` is kept."""
    with tempfile.TemporaryDirectory(prefix="ropewalk-projects-") as folder:
        try:
            trial = Trial(shape, Path(folder), tools)
            trial.adopt()
        except ProjectError as error:
            yield "found", failed(error)
            return
        yield "found", trial.facts()
        if "run" in ways:
            try:
                try_run(trial)
                yield "make run", WORKS
            except ProjectError as error:
                yield "make run", failed(error)
            if trial.tools.exists() and not tools.exists():
                shutil.copytree(trial.tools, tools, symlinks=True)
        backends = [backend for backend in BACKENDS if backend in ways]
        try:
            for backend, failure in try_up(trial, (*backends, *backends[:1])):
                yield backend, failed(failure) if failure else WORKS
        finally:
            if backends:
                trial.remove()


def failed(error: ProjectError) -> str:
    for line in error.log.splitlines()[-25:]:
        sys.stderr.write(f"    {line}\n")
    return f"fails: {error}".replace("|", "/")


def note(shape: Shape, column: str, cell: str) -> bool:
    """Prints the cell and puts it into the table; returns whether it is a failure."""
    print(f"{shape.name:<24} {column:<10} {cell}", flush=True)
    table = read_table()
    table.setdefault(shape.name, {})[column] = cell
    write_table(table)
    return cell.startswith("fails")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.projects", description="Brings up the projects.")
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PROJECT", help=", ".join(names))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="make run, or a backend of make up")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # containers are removed then, too
    has_failed = False
    with tempfile.TemporaryDirectory(prefix="ropewalk-projects-") as folder:
        for shape in SHAPES:
            if shape.name in options.only:
                for column, cell in results(shape, options.ways, Path(folder) / "tools"):
                    has_failed = note(shape, column, cell) or has_failed
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
