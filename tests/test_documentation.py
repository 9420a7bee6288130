"""What the pages name exists: files, anchors, paths, functions, options, variables, targets of make."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ropewalk.config.settings import all_settings
from ropewalk.config.table import PREFIX
from ropewalk.logs.access_json import json_line
from ropewalk.logs.access_record import AccessRecord
from ropewalk.metrics.prometheus import exposition
from tests.helpers.embedded import Talk
from tests.helpers.paths import REPOSITORY
from tests.helpers.statuses import server_status

PAGES = [
    *(str(path.relative_to(REPOSITORY)) for path in sorted((REPOSITORY / "docs").rglob("*.md"))),
    *("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "RELEASING.md", "SECURITY.md", "sample_project/README.md"),
    "server/README.md",
]

PARTS = (
    "",
    "server",
    "server/ropewalk",
    "compare",
    "nginx",
    "sample_project",
    "tests/projects/django-settings-package",
)
"""Folders from which a page may name a path. The last has what projects usually have."""

OTHERS_OPTIONS = {"--cert", "--deploy-hook", "--force-reinstall", "--nothreading", "--stop-timeout"}
"""Of programs that are not ours."""

ARCHITECTURE = "docs/architecture.md"
LIVES = ("request", "reload", "access log line")
"""Each is a table of files and functions on that page."""

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")


def read(page: str) -> str:
    return (REPOSITORY / page).read_text()


def links(page: str) -> list[tuple[str, str]]:
    """The page or file, as a path in the repository, and the anchor of each link that stays here."""
    found = []
    for target, anchor in LINK.findall(read(page)):
        if not target.startswith(("http:", "https:", "mailto:")):
            path = ((REPOSITORY / page).parent / target).resolve() if target else REPOSITORY / page
            found.append((str(path.relative_to(REPOSITORY)), anchor))
    return found


def anchors(page: str) -> set[str]:
    """As forges make them of headings."""
    headings = re.findall(r"^#+ (.+)$", read(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def our_options() -> frozenset[str]:
    """Of the command, of its words (`ropewalk top --interval`) and of the programs in compare/ and tests/."""
    sources = [path for part in ("server", "compare", "tests/fuzz") for path in (REPOSITORY / part).rglob("*.py")]
    return frozenset(re.findall(r'"(--[a-z][a-z0-9_-]+)"', "".join(path.read_text() for path in sources)))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in links(page):
        assert (REPOSITORY / target).exists(), target
        assert not anchor or anchor in anchors(target), f"{target}#{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, fresh = {"README.md"}, ["README.md"]
    while fresh:
        for target, _ in links(fresh.pop()):
            if target in PAGES and target not in reached:
                reached.add(target)
                fresh.append(target)
    assert reached == set(PAGES) - {"server/README.md"}  # which the package index shows on its own


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_are_named_exist(page: str) -> None:
    named = {code for code in CODE.findall(read(page)) if re.fullmatch(r"[a-z][\w.-]*/[\w./-]*", code)}
    missing = {path for path in named if not any((REPOSITORY / part / path).exists() for part in PARTS)}
    assert not missing


def found(path: str) -> list[Path]:
    """The files that a page means by a path, of a file or of a folder."""
    places = [REPOSITORY / part / path for part in PARTS]
    return [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]


def where_changes_go() -> list[list[str]]:
    """The rows of the table in CONTRIBUTING.md, cell by cell."""
    table = read("CONTRIBUTING.md").split("## Where does my change go?")[1].split("\n## ")[0]
    return [row.strip("| ").split(" | ") for row in re.findall(r"^\| an? .*|^\| the .*", table, re.M)]


@pytest.mark.parametrize("row", where_changes_go(), ids=lambda row: row[0])
def test_change_goes_where_contributing_says(row: list[str]) -> None:
    paths = [code for code in CODE.findall(row[1]) if re.search(r"[/.]", code) and "*" not in code]
    files = {path: found(path) for path in paths}
    assert all(files.values()), [path for path, matches in files.items() if not matches]
    names = re.findall(r"`([\w/.-]+)` \((?:the )?`(\w+)`", row[1])
    assert not [(path, name) for path, name in names if name not in found(path)[0].read_text()]
    headings = re.findall(r"`([\w/.-]+)`, ([^|]+)$", row[3].strip()) if len(row) > 3 else []
    assert not [(page, heading) for page, heading in headings if f"\n## {heading}\n" not in read(page)]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/migrating-from-gunicorn.md"])
def test_options_that_are_named_exist(page: str) -> None:
    named = {match[0] for code in CODE.findall(read(page)) if (match := re.match(r"--[a-z][a-z0-9_-]+", code))}
    assert named <= our_options() | OTHERS_OPTIONS


@pytest.mark.parametrize("page", PAGES)
def test_variables_that_are_named_exist(page: str) -> None:
    known = {variable for setting in all_settings() for variable in setting.variables}
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", read(page))) <= known


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_that_are_named_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    written = [*CODE.findall(read(page)), *re.findall(r"^    (.+)$", read(page), re.M)]
    named = {
        word for code in written for words in re.findall(r"^make ((?:[a-z-]+ ?)+)", code) for word in words.split()
    }
    assert named <= targets


def steps(life: str) -> list[tuple[str, str]]:
    """File and function of each row in the table `The life of a ...`."""
    section = re.search(rf"^## The life of an? {life}\n(.*?)^## ", read(ARCHITECTURE), re.M | re.S)
    assert section is not None
    return re.findall(r"^\| `([\w/]+\.py)` \| `([\w.]+)` \|", section[1], re.M)


@cache
def functions(file: str) -> frozenset[str]:
    """The functions that a module of the server defines, and `Class.method` for the methods."""

    def defined(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                yield prefix + node.name
            elif isinstance(node, ast.ClassDef):
                yield from defined(node.body, f"{node.name}.")

    source = (REPOSITORY / "server/ropewalk" / file).read_text()
    return frozenset(defined(ast.parse(source).body))


@pytest.mark.parametrize("life", LIVES)
def test_every_row_of_a_life_names_a_file_and_a_function(life: str) -> None:
    rows = len(steps(life))
    assert rows > 5
    section = read(ARCHITECTURE).split(f" {life}\n", 1)[1].split("\n## ", 1)[0]
    assert len(re.findall(r"^\| ", section, re.M)) == rows + 2


@pytest.mark.parametrize(("file", "function"), [step for life in LIVES for step in steps(life)])
def test_functions_of_the_architecture_page_exist(file: str, function: str) -> None:
    assert function in functions(file)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def measured(scenario: str) -> list[list[str]]:
    """The table of a scenario on the page of the benchmarks, its heading first."""
    section = read("docs/benchmarks/README.md").split(f"\n### {scenario}\n", 1)[1].split("\n##", 1)[0]
    return [cells(line) for line in section.splitlines() if line.startswith("|")]


def readme_numbers() -> list[list[str]]:
    """The table of the README that has measurements, its heading first and without the line below it."""
    section = read("README.md").split("\n## Numbers\n", 1)[1].split("\n## ", 1)[0]
    heading, _, *rows = (cells(line) for line in section.splitlines() if line.startswith("|"))
    return [heading, *rows]


def test_numbers_of_the_readme_are_those_of_the_benchmark() -> None:
    (_, _, *servers), *rows = readme_numbers()
    assert len(rows) == 3
    for scenario, metric, *numbers in rows:
        heading, _, *results = measured(scenario)
        by_server = {result[0]: result[heading.index(metric)].partition(" (")[0] for result in results}
        assert numbers == [by_server[server] for server in servers], scenario


def test_metrics_of_the_operations_page_are_those_of_the_server() -> None:
    served = set(re.findall(r"^# TYPE (\w+)", exposition(server_status()), re.M))
    assert set(re.findall(r"ropewalk_[a-z_]+", read("docs/operations.md"))) == served


def test_the_line_of_the_access_log_on_the_operations_page_has_the_servers_keys() -> None:
    shown = re.search(r"^    (\{\"time\":[^}]*\"seconds\":[^}]*\})", read("docs/operations.md"), re.M)
    assert shown is not None
    described = ("REMOTE_ADDR", "REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL", "wsgi.url_scheme", "HTTP_HOST")
    environ = dict.fromkeys([*described, "HTTP_USER_AGENT"], "a")
    record = AccessRecord(environ, "200 OK", [], 1, 1.0, True, 0.0, 0.0, 0.0, 0.0, 1, "1")
    assert list(json.loads(re.sub(r"\n +", "", shown[1]))) == list(json.loads(json_line(record)))


def test_keys_of_the_environ_are_on_their_page(talk: Talk) -> None:
    """All that PEP 3333 does not name, in a request that has every key which does not depend on a setting."""
    required = re.compile(
        "REQUEST_METHOD|SCRIPT_NAME|PATH_INFO|QUERY_STRING|CONTENT_TYPE|CONTENT_LENGTH|SERVER_NAME|SERVER_PORT|"
        r"SERVER_PROTOCOL|SERVER_SOFTWARE|HTTP_\w+|"
        r"wsgi\.(?:version|url_scheme|input|errors|multithread|multiprocess|run_once)"
    )
    seen: list[set[str]] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(set(environ))
        start_response("200 OK", [])
        return []

    talk.ask(application, request_id="environ")
    rows = read("docs/environ.md").split("| --- |")[1].split("\n\n")[0]
    documented = {code for row in rows.splitlines() for code in CODE.findall(row.partition(" | ")[0])}
    others = {name for name in seen[0] if not required.fullmatch(name)}
    assert others == {name for name in documented if not name.startswith(("HTTPS", "SSL_"))}
