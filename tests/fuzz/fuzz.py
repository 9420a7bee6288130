"""Fuzzes the parsers, led by coverage (atheris, over libFuzzer): `python -m tests.fuzz.fuzz --seconds 60`.

Seeded with the wire corpus. Each target has its share of the time, in a process of its own since libFuzzer ends the
one it runs in. Exit status 1, and the octets on standard error, when one breaks a promise.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.paths import REPOSITORY
from tests.helpers.wire.corpus import load_corpus

# What a mutation needs several happy accidents to write.
WORDS = [
    *(r"GET / HTTP/1.1\x0d\x0a", r"POST / HTTP/1.1\x0d\x0a", r"Host: a\x0d\x0a", r" HTTP/1.0"),
    *(r"\x0d\x0a\x0d\x0a", r"\x0d\x0a"),
    *(r"Transfer-Encoding: chunked\x0d\x0a\x0d\x0a", r"Content-Length: 5\x0d\x0a\x0d\x0a", r"5\x0d\x0ahello\x0d\x0a"),
    *(
        r"0\x0d\x0a\x0d\x0a",
        r"Expect: 100-continue\x0d\x0a",
        r"Connection: close\x0d\x0a",
        r"http://h/",
        r";a=\"b\"",
        r"%41",
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="time for all targets together (default: %(default)s)")
    parser.add_argument("--target", choices=["head", "chunked", "request_reader"], help="only this one")
    parser.add_argument("--inside", metavar="DIR", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        fuzz(arguments.target, arguments.seconds, Path(arguments.inside))
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("fuzz: atheris is not installed: pip install -r tests/fuzz/requirements.txt\n")
        return 2
    targets = [arguments.target] if arguments.target else ["head", "chunked", "request_reader"]
    return max(run(target, max(1, arguments.seconds // len(targets))) for target in targets)


def run(target: str, seconds: int) -> int:
    """Fuzz one target in a process of its own; 1 when it found something."""
    sys.stderr.write(f"fuzz: {target} for {seconds} s\n")
    with tempfile.TemporaryDirectory(prefix="ropewalk-fuzz-") as name:
        directory = Path(name)
        write_seeds(target, directory)
        options = [f"--inside={name}", f"--target={target}", f"--seconds={seconds}"]
        # libFuzzer ends by itself; what is added covers its start and its last input.
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.fuzz", *options],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=seconds + 60,
            check=False,
        )
        if done.returncode == 0:
            sys.stderr.write(f"fuzz: {last_line_of_statistics(done.stderr)}\n")
            return 0
        sys.stderr.write(done.stderr[-4000:])
        for path in directory.glob("found-*"):
            sys.stderr.write(f"fuzz: {target} breaks a promise with {path.read_bytes()!r}\n")
        return 1


def last_line_of_statistics(log: str) -> str:
    return next((line.strip() for line in reversed(log.splitlines()) if "exec/s" in line), "nothing was run")


def write_seeds(target: str, directory: Path) -> None:
    """The corpus as files, with an octet in front that says how to split; and the dictionary."""
    seeds = directory / "seeds"
    seeds.mkdir()
    for number, case in enumerate(load_corpus()):
        if len(case.raw) > 1000:
            continue
        head, end, body = case.raw.partition(b"\r\n\r\n")
        octets = {"head": head + end, "chunked": body, "request_reader": case.raw}[target]
        (seeds / str(number)).write_bytes(bytes([number % 256]) + octets)
    (directory / "words").write_text("".join(f'"{word}"\n' for word in WORDS))


def fuzz(target: str, seconds: int, directory: Path) -> None:
    """Runs in the process of its own; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["ropewalk"]):
        from tests.fuzz.targets import TARGETS

    options = [
        f"-max_total_time={seconds}",
        f"-dict={directory / 'words'}",
        f"-artifact_prefix={directory / 'found-'}",
        *("-max_len=600", "-timeout=10", "-rss_limit_mb=1024"),
        str(directory / "seeds"),
    ]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
