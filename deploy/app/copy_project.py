#!/usr/bin/env python3
"""While the image is built: copies the project, without the files that do not belong in an image, and lists these.

    copy_project.py PROJECT TARGET

TARGET is a folder that does not exist yet, or is empty. `make up` uses the same functions for engines that have no
second build context.
"""

import os
import shutil
import sys
from pathlib import Path

from dockerignore import PatternError
from project_files import Selection, mode_in_image, report


def copy(selection: Selection, target: Path) -> list[str]:
    """Copies what is kept, with its times and without its owners; returns the report about the other files."""
    entries = list(selection.entries())
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    for entry in entries:
        if not entry.rule:
            _copy_entry(selection.project / entry.path, target / entry.path)
    return report(selection, entries)


def _copy_entry(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)  # of a file that is kept in a folder that is not
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
        return
    status = source.stat()
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        shutil.copyfile(source, target)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    target.chmod(mode_in_image(status.st_mode))


def main(arguments: list[str]) -> int:
    project, target = map(Path, arguments)
    os.umask(0o022)
    try:
        include, exclude = (os.environ.get(name, "") for name in ("IMAGE_INCLUDE", "IMAGE_EXCLUDE"))
        lines = copy(Selection(project, include, exclude), target)
    except PatternError as error:
        sys.stderr.write(f"project: {error}\n")
        return 2
    for line in lines:
        print(f"project: not in the image: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
