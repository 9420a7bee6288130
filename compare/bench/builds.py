"""The compiled build of this checkout's server, made with `server/compiled/build_wheel.py` and unpacked in .run/bench.

It is compiled again if the sources or the Python have changed. Without a compiler, the results list it as missing.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.console import progress
from bench.install import COMPILER, reason_of
from bench.paths import DATA, SERVER

COMPILED = DATA / "compiled"
STAMP = COMPILED / "made-from"
FAULT = COMPILED / "fault"


def fingerprint() -> str:
    """Changes with each source of the server, with what builds it, and with the Python."""
    digest = hashlib.sha256(f"{sys.version} {sys.prefix}".encode())
    for folder in (SERVER / "ropewalk", SERVER / "compiled"):
        for path in sorted(one for one in folder.rglob("*") if one.suffix in (".py", ".txt")):
            digest.update(f"{path.relative_to(SERVER)} ".encode() + path.read_bytes())
    return digest.hexdigest()


def compile_server() -> None:
    """Make the build, unless it is there already. `fault` says whether it succeeded."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and not fault():
        return
    progress("bench: compiling Ropewalk (a minute or two)\n")
    COMPILED.mkdir(parents=True, exist_ok=True)
    STAMP.unlink(missing_ok=True)
    FAULT.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        program = SERVER / "compiled" / "build_wheel.py"
        command = [str(COMPILER / "bin" / "python"), str(program), "--compiled", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            reason = reason_of(done)
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}"
        if reason:
            FAULT.write_text(f"it could not be compiled: {reason}")
            return
        (wheel,) = Path(folder).glob("*.whl")
        unpack(wheel, COMPILED)
    STAMP.write_text(wanted)


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack the wheel to the folder, without what an earlier build left there."""
    shutil.rmtree(folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def fault() -> str:
    """Why there is no compiled build, or an empty string."""
    if FAULT.exists():
        return FAULT.read_text()
    return "" if STAMP.exists() else "it is not compiled"


def build_of(source: Path) -> str:
    """`pure` or `compiled`, as the server in that folder says; an empty string if it does not say."""
    command = [sys.executable, "-c", "from ropewalk._version import build; print(build())"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    return done.stdout.strip()
