"""Builds the server's wheel: `build_wheel.py [--compiled] OUT`, with the Python that it is for (`make wheel`).

Without `--compiled` it is the pure wheel, for every Python. With it, mypyc compiles the modules in modules.txt, and the
objects lie beside the sources. Python prefers them; without them it runs the sources. An error or a warning of mypyc's
ends the build, and so does a C compiler that is missing or fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVER = HERE.parent

SOURCE_DATE = "315532800"
"""1980, the earliest date that a wheel can hold, unless SOURCE_DATE_EPOCH is set: equal sources make equal wheels."""

SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

# silent: the other modules are checked by `make lint`, where what they import is installed
options = ["--strict", "--follow-imports=silent"]
objects = mypycify([*options, *{paths}], opt_level="3", debug_level="0", group_name="ropewalk")
setup(name="ropewalk", packages=[], ext_modules=objects)
"""

MYPYC_MESSAGE = re.compile(r"^\S+\.py:\d+: (error|warning): .*", re.MULTILINE)


OBJECT = re.compile(r"typedef struct \{\n([^}]*)\} (\w+)Object;")
"""In mypyc's header, the attributes of a class, and its name."""

TUPLE_OF_OBJECTS = re.compile(r"^    tuple_T\w*O\w* _(\w+);", re.MULTILINE)
"""One of these attributes, whose type is a tuple with objects.

mypyc lays such a tuple out in the object, one member after the other. Threads that run in parallel could see it half
assigned, with objects that are freed: mypyc guards attributes that refer to one object, but not these.
"""


class BuildError(Exception):
    """Why there is no wheel, in a line or what the compilers said."""


def modules() -> list[str]:
    """The modules to compile, as paths in `ropewalk/`."""
    lines = (HERE / "modules.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def build_pure(out: Path) -> Path:
    """Build the pure wheel in the folder `out`, and return its path."""
    from flit_core import buildapi

    os.chdir(SERVER)
    name: str = buildapi.build_wheel(str(out))
    return out / name


def build_compiled(out: Path) -> Path:
    """Build the compiled wheel for this Python in the folder `out`, and return its path."""
    if sysconfig.get_config_var("Py_GIL_DISABLED") and sys.version_info < (3, 14):
        raise BuildError(
            "mypyc compiles for free-threaded builds of Python 3.14 or later: "
            "build the pure wheel for this one, without COMPILED=1"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pure = build_pure(folder)
        root = folder / "-".join(pure.name.split("-")[:2])
        zipfile.ZipFile(pure).extractall(root)
        compile_modules(root)
        tag(root)
        pack = [sys.executable, "-m", "wheel", "pack", "--dest-dir", str(folder / "packed"), str(root)]
        (folder / "packed").mkdir()
        subprocess.run(pack, stdout=subprocess.DEVNULL, check=True)
        (packed,) = (folder / "packed").iterdir()
        return Path(shutil.move(packed, out / packed.name))


def compile_modules(root: Path) -> None:
    """Compile the modules of the unpacked wheel at `root`, and leave nothing but the objects there."""
    setup = root / "setup.py"
    setup.write_text(SETUP.format(paths=[f"ropewalk/{name}" for name in modules()]))
    command = [sys.executable, setup.name, "--quiet", "build_ext", "--inplace"]
    version = ".".join(map(str, sys.version_info[:2])) + sys.abiflags
    print(f"Compiling {len(modules())} modules for Python {version}: this takes a minute or two.", file=sys.stderr)
    environment = {**os.environ, "LDFLAGS": f"{os.environ.get('LDFLAGS', '')} -s"}  # without symbols: a third smaller
    done = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise BuildError(done.stdout.rstrip())
    if MYPYC_MESSAGE.search(done.stdout):
        raise BuildError("\n".join(match[0] for match in MYPYC_MESSAGE.finditer(done.stdout)))
    refuse_torn_attributes(root / "build")
    setup.unlink()
    for left in ("build", ".mypy_cache"):
        shutil.rmtree(root / left, ignore_errors=True)


def refuse_torn_attributes(generated: Path) -> None:
    """Raise BuildError if mypyc's C code in the folder has attributes that are a `TUPLE_OF_OBJECTS`."""
    headers = "".join(header.read_text() for header in generated.glob("__native*.h"))
    found = [
        f"{name.replace('___', '.')}.{attribute}"
        for attributes, name in OBJECT.findall(headers)
        for attribute in TUPLE_OF_OBJECTS.findall(attributes)
    ]
    if found:
        raise BuildError(
            f"without the GIL, a thread could see these tuples half assigned: {', '.join(found)}. "
            "Let each attribute refer to an object of a class instead"
        )


def tag(root: Path) -> None:
    """Say in the unpacked wheel at `root` which Python and platform it is for."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    abi = f"{python}{sys.abiflags}"
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    (about,) = root.glob("*.dist-info/WHEEL")
    text = about.read_text().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    about.write_text(text.replace("Tag: py3-none-any", f"Tag: {python}-{abi}-{platform}"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the server's wheel.")
    parser.add_argument("--compiled", action="store_true", help="compile the modules in modules.txt")
    parser.add_argument("out", type=Path, help="the folder to write it to")
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", SOURCE_DATE)
    try:
        print((build_compiled if given.compiled else build_pure)(out))
    except BuildError as error:
        print(f"build_wheel: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
