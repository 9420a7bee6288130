"""Markdown of the generated pages: tables, and regions of a page that a program replaces.

A page is prose written by hand with regions between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. Only the
regions are generated, so the prose can change without a new measurement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

REGION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with columns of equal width, so that it also reads well in a terminal."""
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(heading), line(["-" * width for width in widths]), *map(line, rows)])


def parse_tables(text: str) -> list[list[list[str]]]:
    """The tables of a text as rows of cells, each with its heading first and without the line of dashes."""
    found: list[list[list[str]]] = []
    is_inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            is_inside = False
            continue
        if not is_inside:
            found.append([])
        is_inside = True
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not all(re.fullmatch("-+", cell) for cell in cells):
            found[-1].append(cells)
    return found


def regions(page: str) -> dict[str, str]:
    """The generated regions of a page, by name."""
    return {name: content.strip("\n") for _, name, content, _ in REGION.findall(page)}


def replace_regions(page: str, contents: Mapping[str, str]) -> str:
    """The page with new regions. Raises `ValueError` unless it has exactly these."""
    found = regions(page)
    if set(found) != set(contents):
        raise ValueError(f"the page has the regions {sorted(found)}, not {sorted(contents)}")
    return REGION.sub(lambda match: f"{match[1]}\n{contents[match[2]]}\n\n{match[4]}", page)


def headings(page: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", page, re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
