"""deploy/app/dockerignore.py: the patterns, each compared with what a real engine does."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dockerignore import PatternError, Patterns, lines
from tests.helpers.containers import run

TREE = [
    *(
        "a",
        "abc",
        "b.log",
        "app.py",
        "notes.md",
        "README.md",
        "x+y",
        "with space",
        "dot.",
        "[odd]",
        "deep/a",
        "deep/b.log",
    ),
    *("deep/er/a", "deep/er/b.log", "deep/er/est/a", "deep/er/est/c.txt", "src/app.py", "src/app.pyc", "src/data/a.db"),
    *("src/data/keep.db", "src/sub/data/a.db", "node_modules/x/index.js", "node_modules/x/keep.js", ".env", "src/.env"),
]

CASES = {
    "nothing": "",
    "comments and blank lines": "# a\n\n   \n#!b.log\n",
    "a byte order mark, and line ends of Windows": "\ufeffa\r\nb.log\r\n",
    "spaces around": "  a  \n! a\n",
    "a name matches only at the root": "a\nb.log\n",
    "a folder": "deep\n",
    "a folder with slashes": "/deep/er/\n",
    "a path that is not clean": "./deep//er/../er/b.log\n",
    "a path that leaves the root": "../a\n",
    "the root": "/\n.\n",
    "a star does not match a slash": "*.log\nsrc/*.py*\n",
    "a star matches folders": "*/er\n",
    "a question mark": "?\na?c\nsrc/app.py?\n",
    "characters": "[ab]*\ndeep/[^a]*\n",
    "characters that are escaped": "[\\[x]*\n",
    "a backslash": "\\[odd\\]\n\\.env\nx\\+y\n",
    "characters of expressions": "x+y\ndot.\n(a)\na|b\n",
    "two stars in front": "**/a\n",
    "two stars and a name": "**/*.log\n",
    "two stars without a slash": "**.py\n",
    "two stars without a slash and a star": "**b*c\n",
    "two stars at the end": "deep/**\n",
    "two stars without a slash at the end": "no**\n",
    "two stars between": "src/**/a.db\n",
    "two stars inside of a name": "d**r\n",
    "two stars on both sides": "**/er/**\n",
    "two stars alone": "**\n",
    "three stars": "***/est\n",
    "all, with an exception": "*\n!src\n",
    "all, with an exception in a folder": "*\n!src/data/keep.db\n",
    "an exception in a folder that is left out": "node_modules\n!node_modules/x/keep.js\n",
    "an exception with two stars": "**/data\n!**/keep.db\n",
    "an exception with a star": "deep\n!deep/er/*.log\n",
    "the last one wins": "!a\na\n!deep/a\n**/a\n!a\n",
    "an exception of an exception": "src\n!src/data\nsrc/data/a.db\n",
    "an exception that spaces surround": "src\n!  src/app.py  \n",
    "an exception with a slash": "src\n!/src/app.py\n",
}

REFUSED = ["!", "[", "[]", "[a", "[a-]", "[-a]", "a\\", "src/[z-a]"]


def kept(text):
    patterns = Patterns(lines(text))
    return {path for path in TREE if not patterns.matches(path)}


@pytest.fixture(scope="module")
def engine_keeps(tmp_path_factory):
    """The files that a build of TREE copies, for each text of a .dockerignore; None if the build refuses it."""
    project = tmp_path_factory.mktemp("project")
    for path in TREE:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text("")

    def build(text, folder):
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        (folder / "Dockerfile.dockerignore").write_bytes(text.encode())
        command = ["docker", "buildx", "build", "--quiet", "--file", str(folder / "Dockerfile")]
        done = run(*command, "--output", f"type=local,dest={folder}/output", str(project), check=False)
        if done.returncode:
            return None
        output = folder / "output"
        return {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}

    texts = [*CASES.values(), *(f"{pattern}\n" for pattern in REFUSED)]
    folders = [tmp_path_factory.mktemp("build") for _ in texts]
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(texts, threads.map(build, texts, folders), strict=True))


@pytest.mark.docker
@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_same_files_are_kept_as_by_a_real_engine(engine_keeps, text):
    assert kept(text) == engine_keeps[text]


@pytest.mark.parametrize("pattern", REFUSED)
def test_pattern_that_docker_refuses_is_refused(pattern):
    with pytest.raises(PatternError) as raised:
        Patterns([pattern])
    assert repr(pattern) in str(raised.value)


@pytest.mark.docker
@pytest.mark.parametrize("pattern", REFUSED)
def test_pattern_that_is_refused_ends_a_real_build(engine_keeps, pattern):
    assert engine_keeps[f"{pattern}\n"] is None


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("*.log", {"b.log"}),
        ("**/*.log", {"b.log", "deep/b.log", "deep/er/b.log"}),
        ("deep\n!deep/er/est", {"deep/a", "deep/b.log", "deep/er/a", "deep/er/b.log"}),
    ],
)
def test_files_that_are_left_out(text, left_out):
    assert set(TREE) - kept(text) == left_out


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("data/*.db", "data", True),
        ("data/*.db", "data/x", False),
        ("data/*.db", "other", False),
        ("*/keep/a", "x/keep", True),
        ("**/a", "x/y", True),
        ("x/**", "x/y", True),
        ("data", "data/x", False),
        ("[a-c]/x", "b", True),
    ],
)
def test_folder_that_a_pattern_may_match_something_in(pattern, folder, expected):
    assert Patterns([pattern]).may_match_below(folder) is expected
