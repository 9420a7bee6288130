"""Which files of a project belong in its image. One set of rules: the image's build and the host's command read it.

Left out are what the project's own .dockerignore names, and what never belongs in an image: secrets, version control,
environments and databases of the machine that it was developed on, caches, links that lead out of the project. Patterns
that the user gives leave out more (IMAGE_EXCLUDE), or keep what one of the kit's own rules, or IMAGE_EXCLUDE, would
leave out (IMAGE_INCLUDE), and nothing else.

Only reads. Knows nothing of Docker.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dockerignore import PatternError, Patterns, lines

IGNORE_FILE = ".dockerignore"
ALLOWED_INCLUDES = "must be files or folders of the project, separated by spaces, such as data/*.sqlite3"
NAMES_SHOWN = 3
"""Names in a line of the report: it has to fit in the output of a build."""

HEAD_SIZE = 4096
"""Octets of each file that are read: SQLite's magic is the first 16, and a key starts after a few lines of text."""

KEY_FILE_SIZE = 1 << 20
"""Octets that are searched in files that may hold a key anywhere: a chain of certificates has some thousands."""

VERSION_CONTROL = "version control"
ENVIRONMENT_FILES = "environment files"
VIRTUAL_ENVIRONMENTS = "virtual environments"
NODE_MODULES = "node_modules"
DATABASES = "databases"
AFTERWARDS = {DATABASES: "; the site has its own, which begins empty (IMAGE_INCLUDE in .env takes this one along)"}
"""What a line about a rule ends with."""
PRIVATE_KEYS = "private keys"
CREDENTIALS = "credentials"
CACHES = "caches"
LINKS = "links that lead out of the project"
EXCLUDED = "IMAGE_EXCLUDE"
SPECIAL_FILES = "sockets, pipes and devices"

NAMES = {
    VERSION_CONTROL: (".git", ".hg", ".svn", ".bzr", ".jj"),
    ENVIRONMENT_FILES: (".env*", "*.env"),
    NODE_MODULES: ("node_modules",),
    DATABASES: (
        *("*.sqlite", "*.sqlite3", "*.db3", "*.duckdb", "dump.rdb"),
        # What SQLite keeps beside a database. "-wal" may hold rows that the database itself lacks.
        *(f"*.{suffix}-{part}" for suffix in ("sqlite", "sqlite3", "db", "db3") for part in ("wal", "shm", "journal")),
    ),
    PRIVATE_KEYS: (
        *("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"),
        *("*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore"),
    ),
    CREDENTIALS: (".netrc", ".pgpass", ".my.cnf", ".pypirc", ".git-credentials", ".ssh", ".aws", ".gnupg", ".kube"),
    CACHES: (
        *("__pycache__", "*.pyc", "*.pyo", ".cache", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
        *(".tox", ".nox", ".coverage", ".coverage.*", "htmlcov", ".DS_Store", "Thumbs.db"),
    ),
}
"""Names of files and folders, anywhere in the project. Contents: see `_rule_of_content`."""

EXAMPLES = ("*.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults")
"""Environment files that are meant to be shared."""

SQLITE_MAGIC = b"SQLite format 3\0"
KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
KEY_AT_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:" + KEY.pattern + rb")")
KEY_SUFFIXES = (".pem", ".key", ".crt", ".cer", ".cert", ".asc", ".json", ".ovpn")
"""Files in which a key may follow other content: a chain of certificates, the JSON of a cloud's service account."""


class Entry(NamedTuple):
    """A file, folder or link of the project."""

    path: str
    """Relative to the project, with "/" between its parts."""
    rule: str = ""
    """Why it is left out, with everything in it; blank if it is kept."""
    detail: str = ""
    """Where a link leads."""


class Selection:
    """The files of a project, sorted: kept or left out."""

    def __init__(self, project: Path, include: str = "", exclude: str = "") -> None:
        """Raises PatternError, with the name of the file or variable."""
        self.project = project
        self._root = os.path.realpath(project)
        self._ignored = read_ignore_file(project)
        self._included = read_patterns("IMAGE_INCLUDE", include)
        self._excluded = read_patterns(EXCLUDED, exclude)
        self._includes = include.split()

    def entries(self, folder: str = "", rule: str = "") -> Iterator[Entry]:
        """Those in the folder and in its folders, each before what is in it; `rule` leaves out the folder itself."""
        with os.scandir(self.project / folder) as found:
            children = sorted(found, key=lambda child: child.name)
        for child in children:
            yield from self._entries_of(f"{folder}/{child.name}" if folder else child.name, child, rule)

    def unused_includes(self, entries: Iterable[Entry]) -> list[str]:
        """Patterns of IMAGE_INCLUDE that match nothing that is kept."""
        kept = [entry.path for entry in entries if not entry.rule] if self._includes else []
        return [word for word in self._includes if not any(map(Patterns([word]).matches, kept))]

    def _entries_of(self, path: str, child: os.DirEntry[str], outer: str) -> Iterator[Entry]:
        rule = self._rule(path, child, outer)
        if not child.is_dir(follow_symlinks=False):
            if not rule and child.is_symlink() and not self._leads_inside(child):
                yield Entry(path, LINKS, os.readlink(child.path))
            else:
                yield Entry(path, rule)
        elif not rule:
            yield Entry(path)
            yield from self.entries(path)
        else:
            # What an exception keeps may be in a folder that is left out.
            may_be_kept = self._ignored.has_exceptions if rule == IGNORE_FILE else self._included.may_match_below(path)
            inside = list(self.entries(path, rule)) if may_be_kept else []
            yield from inside if any(not entry.rule for entry in inside) else [Entry(path, rule)]

    def _rule(self, path: str, child: os.DirEntry[str], outer: str) -> str:
        if self._ignored.matches(path):
            return IGNORE_FILE
        if not child.is_symlink() and not child.is_dir() and not child.is_file():
            return SPECIAL_FILES
        if self._included.matches(path):
            return ""
        if outer and outer != IGNORE_FILE:
            return outer
        if self._excluded.matches(path):
            return EXCLUDED
        return rule_of_name(child.name) or ("" if child.is_symlink() else _rule_of_content(child))

    def _leads_inside(self, link: os.DirEntry[str]) -> bool:
        target = os.path.realpath(link.path)
        return not os.path.isabs(os.readlink(link.path)) and (target + os.sep).startswith(self._root + os.sep)


def read_ignore_file(project: Path) -> Patterns:
    path = project / IGNORE_FILE
    if not path.is_file():
        return Patterns()
    try:
        return Patterns(lines(path.read_text(encoding="utf-8", errors="surrogateescape")))
    except PatternError as error:
        raise PatternError(f"{IGNORE_FILE} of the project: {error}") from None


def read_patterns(variable: str, value: str) -> Patterns:
    """Those of IMAGE_INCLUDE or IMAGE_EXCLUDE. One that matches everything is refused: it would ship every secret."""
    words = value.split()
    try:
        patterns = Patterns(words)
    except PatternError:
        patterns = None
    if patterns is None or any(re.fullmatch(r"!.*|[./*?]*|(.*/)?\.\.(/.*)?", word) for word in words):
        raise PatternError(f"{variable}={value!r}: {ALLOWED_INCLUDES}")
    return patterns


def _one_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)), re.IGNORECASE)


_RULES = {rule: _one_of(patterns) for rule, patterns in NAMES.items()}
_IS_EXAMPLE = _one_of(EXAMPLES)


def rule_of_name(name: str) -> str:
    """The rule that leaves out files and folders of this name; blank if none does."""
    rule = next((rule for rule, expression in _RULES.items() if expression.match(name)), "")
    return "" if rule == ENVIRONMENT_FILES and _IS_EXAMPLE.match(name) else rule


def _rule_of_content(child: os.DirEntry[str]) -> str:
    if child.is_dir():
        return VIRTUAL_ENVIRONMENTS if os.path.lexists(os.path.join(child.path, "pyvenv.cfg")) else ""
    with open(child.path, "rb") as file:
        head = file.read(HEAD_SIZE)
        if head.startswith(SQLITE_MAGIC):
            return DATABASES
        if KEY_AT_START.match(head):
            return PRIVATE_KEYS
        if child.name.lower().endswith(KEY_SUFFIXES) and KEY.search(head + file.read(KEY_FILE_SIZE)):
            return PRIVATE_KEYS
    return ""


def report(selection: Selection, entries: Iterable[Entry]) -> list[str]:
    """What the image does not get: a line for each rule, with the first names and the number of the others."""
    entries = list(entries)
    by_rule: dict[str, list[str]] = {}
    for entry in entries:
        if entry.rule:
            shown = f"{entry.path} -> {entry.detail}" if entry.detail else entry.path
            by_rule.setdefault(entry.rule, []).append(_printable(shown))
    rows = []
    for rule in sorted(by_rule):
        names = by_rule[rule]
        more = f", and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        rows.append(f"{rule}: {', '.join(names[:NAMES_SHOWN])}{more}{AFTERWARDS.get(rule, '')}")
    unused = [
        f"warning: {_printable(word)!r} in IMAGE_INCLUDE keeps nothing" for word in selection.unused_includes(entries)
    ]
    return rows + unused


def _printable(text: str, limit: int = 100) -> str:
    """On one line and of a terminal's width: names are the project's, and may hold anything."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    return plain if len(plain) <= limit else f"{plain[: limit - 3]}..."


def mode_in_image(mode: int) -> int:
    """Of a file or folder: readable by every user and writable by root, whatever the umask of the checkout was."""
    return 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
