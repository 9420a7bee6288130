"""PostgreSQL, by its own programs: pg_dump, pg_restore and psql."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backup.errors import BackupError

SCRATCH, NEW, OLD = "ropewalk_check", "ropewalk_new", "ropewalk_old"
"""The names of databases beside the site's."""

QUIET = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")

# One query for all tables: their names are the database's own.
COUNT = """SELECT format('SELECT %L, count(*) FROM %I.%I', table_schema || '.' || table_name, table_schema, table_name)
FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1 \\gexec
"""


class Server:
    """The server and the database of a URL. Each method raises BackupError with what PostgreSQL's program says."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.database = unquote(parts.path.lstrip("/")) or "postgres"
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PGHOST": unquote(parts.hostname or ""),
            "PGPORT": str(parts.port or 5432),
            "PGUSER": unquote(parts.username or ""),
            "PGPASSWORD": unquote(parts.password or ""),
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": "--client-min-messages=warning",
        }

    def call(self, *command: str, text: str | None = None) -> str:
        done = subprocess.run(command, env=self._environment, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
            raise BackupError(f"{command[0]}: {lines[0].removeprefix(f'{command[0]}: ')}")
        return done.stdout

    def psql(self, database: str, text: str) -> str:
        return self.call("psql", *QUIET, "--dbname", database, text=text)

    def dump(self, target: Path) -> dict[str, int]:
        """Writes the dump; returns the rows of each table, as they are in it."""
        with self._snapshot() as (identifier, count):
            self.call(
                "pg_dump", "--format=custom", f"--snapshot={identifier}", f"--file={target}", "--dbname", self.database
            )
            return count()

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[str, Callable[[], dict[str, int]]]]:
        """The identifier of a transaction that sees the database as it is now, and what counts the rows in it."""
        with subprocess.Popen(
            ["psql", *QUIET, "--dbname", self.database],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        ) as session:
            to, back = session.stdin, session.stdout
            assert to
            assert back

            def ask(text: str) -> list[str]:
                to.write(f"{text}\n\\echo :end\n")
                to.flush()
                lines: list[str] = []
                for line in back:
                    if line == ":end\n":
                        return lines
                    lines.append(line.rstrip("\n"))
                raise BackupError(f"psql: {' '.join(lines) or 'ended'}")

            try:
                ask("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;")
                yield ask("SELECT pg_export_snapshot();")[-1], lambda: as_counts(ask(COUNT))
            finally:
                to.close()

    def restore(self, dump: Path, name: str) -> None:
        """Into a new database of this name, which is removed first."""
        self.drop(name)
        self.psql("postgres", f"CREATE DATABASE {name} TEMPLATE template0;\n")
        self.call("pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", "--dbname", name, str(dump))

    def count(self, name: str) -> dict[str, int]:
        return as_counts(self.psql(name, COUNT).splitlines())

    def drop(self, name: str) -> None:
        self.psql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE);\n")

    def take_place(self, name: str) -> None:
        """The database of this name becomes the site's, whose own is dropped."""
        own = '"' + self.database.replace('"', '""') + '"'
        self.psql(
            "postgres",
            f"""DROP DATABASE IF EXISTS {OLD} WITH (FORCE);
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.database.replace("'", "''")}';
BEGIN;
ALTER DATABASE {own} RENAME TO {OLD};
ALTER DATABASE {name} RENAME TO {own};
COMMIT;
DROP DATABASE {OLD} WITH (FORCE);
""",
        )

    def is_empty(self) -> bool:
        return not self.count(self.database)


def as_counts(lines: list[str]) -> dict[str, int]:
    return {name: int(number) for name, _, number in (line.rpartition("|") for line in lines if line)}
