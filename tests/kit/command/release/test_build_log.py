"""deploy/kit/release/build_log.py: a build without a terminal is a few lines, and all of it is in a file."""

import pytest

from kit.release.build_log import PAUSE, BuildLog

OUTPUT = b"""#0 building with "default" instance using docker driver
#7 [app base 2/3] RUN apt-get update
#7 1.412 Get:1 a list
#7 DONE 9.1s
#30 [app python-build 4/5] RUN python3 -I /build/deploy/kit install
#30 0.311 ==> Installing what uv.lock lists
#30 8.100  + django==5.2
#41 [app prepared 5/6] RUN /opt/venv/bin/python /kit/bin/prepare.py
#41 2.000 prepare: db.sqlite3 is kept in a volume, since the project writes to it
#41 2.100 project: not in the image: caches: __pycache__
"""


@pytest.fixture
def build(tmp_path):
    """A log whose lines and clock can be seen."""

    class Build:
        lines: list[str]
        time = 0.0

        def __init__(self):
            self.lines = []
            self.path = tmp_path / "run/build.log"
            self.log = BuildLog(self.lines.append, self.path, lambda: self.time)

    return Build()


@pytest.mark.parametrize("size", [1, 7, len(OUTPUT)])
def test_only_the_kit_s_own_lines_are_shown_and_all_are_kept(build, size):
    for at in range(0, len(OUTPUT), size):
        build.log.feed(OUTPUT[at : at + size])
    assert build.lines == [
        "    Installing what uv.lock lists",
        "    prepare: db.sqlite3 is kept in a volume, since the project writes to it",
    ]
    assert build.path.read_bytes() == OUTPUT
    assert build.log.place == str(build.path)


def test_line_is_shown_once(build):
    build.log.feed(b"#41 2.0 prepare: a\n#41 2.0 prepare: a\n2.0 prepare: a\n")
    assert build.lines == ["    prepare: a"]


def test_long_build_shows_where_it_is(build):
    build.log.look()
    build.log.feed(OUTPUT[:120])
    build.time = PAUSE - 1
    build.log.look()
    assert build.lines == []
    build.time = PAUSE
    build.log.look()
    build.log.look()
    assert build.lines == ["    30 s: [app base 2/3] RUN apt-get update"]


def test_folder_that_cannot_be_written_is_no_error(tmp_path):
    lines = []
    (tmp_path / "file").touch()
    BuildLog(lines.append, tmp_path / "file/build.log").feed(b"#1 0.1 prepare: x\n")
    assert lines == ["    prepare: x"]
