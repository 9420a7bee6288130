"""Debian packages that distributions need to be built and to run, and how a failed build shows that one is missing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from kit.project.names import name_of, normalize

VARIABLES = ("BUILD_PACKAGES", "RUNTIME_PACKAGES")

COMPILER = ("gcc", "python3-dev")
"""What every extension in C needs."""


@dataclass(frozen=True, slots=True)
class SystemPackages:
    build: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()

    def __or__(self, other: "SystemPackages") -> "SystemPackages":
        return SystemPackages(
            tuple(dict.fromkeys((*self.build, *other.build))), tuple(dict.fromkeys((*self.runtime, *other.runtime)))
        )

    def __bool__(self) -> bool:
        return bool(self.build or self.runtime)

    def lines(self) -> str:
        """The lines to put into .env."""
        listed = zip(VARIABLES, (self.build, self.runtime), strict=True)
        return "\n".join(f'{name}="{" ".join(packages)}"' for name, packages in listed if packages)


def _extension(build: str = "", runtime: str = "") -> SystemPackages:
    return SystemPackages((*COMPILER, *build.split()), tuple(runtime.split()))


_MYSQL = _extension("pkg-config libmariadb-dev", "libmariadb3")
_LDAP = _extension("libldap-dev libsasl2-dev", "libldap2 libsasl2-2")
_XML = _extension("libxml2-dev libxslt1-dev", "libxml2 libxslt1.1")
_IMAGES = _extension("libjpeg-dev zlib1g-dev libfreetype-dev", "libjpeg62-turbo zlib1g libfreetype6")

DISTRIBUTIONS = {
    "psycopg2": _extension("libpq-dev", "libpq5"),
    "psycopg-c": _extension("libpq-dev", "libpq5"),
    "psycopg": SystemPackages(runtime=("libpq5",)),
    "mysqlclient": _MYSQL,
    "lxml": _XML,
    "pillow": _IMAGES,
    "uwsgi": _extension(),
    "python-ldap": _LDAP,
    "cffi": _extension("libffi-dev", "libffi8"),
    "cryptography": _extension("libssl-dev libffi-dev pkg-config cargo", "libssl3t64"),
    "pycairo": _extension("pkg-config libcairo2-dev", "libcairo2"),
    "xmlsec": _extension("pkg-config libxml2-dev libxmlsec1-dev", "libxmlsec1t64-openssl"),
    "pygraphviz": _extension("pkg-config libgraphviz-dev", "graphviz"),
    "pycurl": _extension("libcurl4-openssl-dev libssl-dev", "libcurl4t64"),
    "pyodbc": _extension("g++ unixodbc-dev", "libodbc2"),
    "cx-oracle": _extension(),
    "gevent": _extension("libffi-dev make"),
    "greenlet": _extension("g++"),
    "uvloop": _extension("make"),
    "numpy": _extension("g++"),
    "weasyprint": SystemPackages(runtime=("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0")),
    "python-magic": SystemPackages(runtime=("libmagic1t64",)),
    "cairosvg": SystemPackages(runtime=("libcairo2",)),
    "gdal": _extension("g++ libgdal-dev", "libgdal36"),
}
"""By normalized name. Most have wheels, and need the packages only where there is none for this Python or machine."""

EXTRAS = {("psycopg", "c"): "psycopg-c"}
"""What an extra of a distribution installs beside it."""

WITHOUT_WHEELS = ("psycopg2", "psycopg-c", "mysqlclient", "uwsgi", "python-ldap", "pygraphviz", "pycairo", "gdal")
"""Published as sources alone, at least for Linux."""

MESSAGES = {
    r"pg_config(?: executable)? (?:not found|is required)|libpq-fe\.h": DISTRIBUTIONS["psycopg2"],
    r"No such file or directory: 'pg_config'": DISTRIBUTIONS["psycopg-c"],
    r"mysql_config|mysql\.h|Can not find valid pkg-config name|Specify MYSQLCLIENT_CFLAGS": _MYSQL,
    r"libxml2? and libxslt development|xmlversion\.h|xslt-config": _XML,
    r"headers or library files could not be found for (?:jpeg|zlib)|jpeglib\.h": _IMAGES,
    r"\blber\.h|\bldap\.h|\bsasl\.h": _LDAP,
    r"\bffi\.h": DISTRIBUTIONS["cffi"],
    r"openssl/\w+\.h|Could not find directory of OpenSSL": _extension("libssl-dev pkg-config"),
    r"\bPython\.h": _extension(),
    r"'[^']*(?:gcc|cc|clang)' failed: No such file|unable to execute '[^']*cc'": _extension(),
    r"No such file or directory: '[^']*(?:gcc|cc|clang)'": _extension(),
    r"you need a C compiler|Unknown compiler|No CMAKE_C_COMPILER|[Cc]ompiler (?:cc|gcc) cannot": _extension(),
    r"No such file or directory: '[^']*(?:g\+\+|c\+\+)'|cc1plus": _extension("g++"),
    r"'[^']*(?:g\+\+|c\+\+)' failed: No such file": _extension("g++"),
    r"Rust toolchain|[Rr]ust compiler|cargo, the Rust package manager, is not installed|puccinialin": _extension(
        "cargo"
    ),
    r"pkg-config(?:: not found| could not be found)|Did not find pkg-config": _extension("pkg-config"),
    r"cmake(?:: not found|: No such file)|CMake must be installed": _extension("g++ cmake make"),
    r"[Gg]it executable not found|No such file or directory: 'git'": SystemPackages(("git",)),
}
"""Regular expressions for what builds print, and what was missing."""

_FAILED = re.compile(r"Failed to (?:build|download and build) `?([A-Za-z0-9][\w.-]*?)(?:==[^`\s]*)?[`\s]")


_NOT_FETCHED = re.compile(
    r"Git operation failed|[Cc]ould not resolve host|dns error|error sending request|operation timed out"
    r"|Connection (?:refused|reset)|HTTP status (?:client|server) error|URLError"
)
"""What uv, git and builds print if something cannot be fetched: no version and no package of Debian mends that."""

_REASON = re.compile(r"^\s*(fatal: .*|cause: .*)$", re.M)


def not_fetched(output: str) -> str:
    """Why something could not be fetched, in one line; "" if that is not what failed."""
    if not _NOT_FETCHED.search(output):
        return ""
    reasons = _REASON.findall(output)
    first = next((line for line in reasons if line.startswith("fatal: ")), "")
    return (first or (reasons[-1] if reasons else "")).removeprefix("cause: ") or "something could not be fetched"


_NO_PASSWORD = re.compile(r"index URL \((\S+?)\) could not be queried due to .*\((401|403) ")
_UNKNOWN = re.compile(r"Because (\S+) was not found in the package registry")


def of_index(output: str) -> str:
    """What to do about an index that wants a password, or that does not have a package; "" if that is not it."""
    if found := _NO_PASSWORD.search(output):
        return (
            f"the index {found[1]} wants a user and a password ({found[2]}): NETRC=./netrc in .env, a file with the"
            f" line: machine {urlsplit(found[1]).hostname} login ... password ..."
        )
    if found := _UNKNOWN.search(output):
        return f"no index has {found[1]}. A private one needs PIP_EXTRA_INDEX_URL in .env, and NETRC for its password"
    return ""


def diagnose(output: str) -> tuple[str, SystemPackages]:
    """The distribution that could not be built, and the packages that it lacks; both are empty if that is not it."""
    found = _FAILED.search(output)
    name = normalize(found[1]) if found else ""
    missing = SystemPackages()
    for pattern, packages in MESSAGES.items():
        if re.search(pattern, output):
            missing |= packages
    if not missing and not_fetched(output):
        return "", missing
    if missing and name in DISTRIBUTIONS:
        missing = DISTRIBUTIONS[name] | missing
    return name, missing


def needed(requirements: Iterable[str]) -> SystemPackages:
    """What is needed in any case: to build distributions that have no wheels for Linux, and the libraries that no
    wheel brings along, such as libpq for psycopg without [binary]."""
    found = SystemPackages()
    for line in requirements:
        extras = re.match(r"[\w.-]+\s*\[([^]]*)\]", line)
        chosen = {normalize(extra.strip()) for extra in extras[1].split(",")} if extras else set()
        names = [name_of(line), *(EXTRAS[key] for extra in chosen if (key := (name_of(line), extra)) in EXTRAS)]
        for name in names:
            packages = DISTRIBUTIONS.get(name, SystemPackages())
            if name in WITHOUT_WHEELS or (not packages.build and not chosen & {"binary", "c"}):
                found |= packages
    return found
