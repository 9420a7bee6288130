"""What a build prints without a terminal, which is some hundred lines of BuildKit's: all of it goes to a file, and the
kit's own lines, and now and then what is being built, to the screen.

On a terminal, BuildKit shows its progress itself, and nothing here is used.
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kit.failures import BUILD_LINE
from kit.paths import ROOT, RUN

NAME = "build.log"
PAUSE = 30.0
"""Seconds after which a build that says nothing shows its step."""

OWN = re.compile(r"==> |(?:prepare|install|assets): \S")
"""Lines of the kit's programs in the build. What is not in the image is said before it."""

STEP = re.compile(r"#\d+ (\[[^\]]+\] .+)")
LONGEST = 100
"""Characters of a step that are shown."""


class BuildLog:
    def __init__(
        self, show: Callable[[str], None], path: Path | None = None, now: Callable[[], float] = time.monotonic
    ):
        """`show` prints a line."""
        self._show = show
        self._path = path or RUN / NAME
        self._now = now
        self._began = self._last = now()
        self._step = ""
        self._rest = b""
        self._shown: set[str] = set()
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_bytes(b"")

    @property
    def place(self) -> str:
        """Of the file, relative to the checkout."""
        return str(self._path.relative_to(ROOT) if self._path.is_relative_to(ROOT) else self._path)

    def feed(self, piece: bytes) -> None:
        """What the build has printed since the last call."""
        with suppress(OSError), self._path.open("ab") as file:
            file.write(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._read(line.decode(errors="replace").rstrip("\r"))

    def look(self) -> None:
        """Called again and again while it builds."""
        if self._now() - self._last >= PAUSE and self._step:
            self._print(f"    {self._now() - self._began:.0f} s: {self._step}")

    def _read(self, line: str) -> None:
        if found := STEP.match(line):
            self._step = found[1] if len(found[1]) <= LONGEST else f"{found[1][: LONGEST - 3]}..."
        text = BUILD_LINE.sub("", line)
        if OWN.match(text) and text not in self._shown:
            self._shown.add(text)
            self._print(f"    {text.removeprefix('==> ')}")

    def _print(self, line: str) -> None:
        self._last = self._now()
        self._show(line)
