"""deploy/kit/dotenv.py: the same values as compose's, and clear errors for what it refuses."""

import json
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import dotenv
from kit.errors import KitError

ENVIRONMENT = {"HOME": "/home/ada", "BLANK": ""}
NAMES = ("A", "B", "C", "A-B", "A.B", "1A", "A[0]")

ACCEPTED = {
    "plain": "A=x",
    "spaces": "A = a b c  ",
    "colon": "A: x",
    "export": "export A=x\nexport B\n",
    "indented": "  A=x",
    "blank": "A=\nB= \nC=''",
    "twice": "A=x\nA=y",
    "names": "1A=x\nA-B=y\nA.B=z\nA[0]=v",
    "equals in the value": "A==x\nB=a=b;c",
    "comment": "# A=x\n\nA=a # b # c",
    "no comment": "A=a#b\nB=#c\nC= #d",
    "tab before a comment": "A=x\t#c",
    "single quotes": "A='a$B \\n # c' # d",
    "quote in single quotes": "A='it\\'s'",
    "double quotes": 'A="a $HOME # c" # d',
    "escapes": 'A="a\\nb\\t\\"q\\" \\\\ \\$HOME \\x \\\'"\nB="\\a\\b\\c\\f\\r\\v"',
    "several lines": "A=\"a\nb\"\nB='c\nd'\nC=e",
    "quotes in quotes": "A=\"'x'\"\nB='\"x\"'",
    "quotes in the middle": "A=x'y'z\nB=a\"b\"",
    "backslash": "A=a\\nb \\$HOME\nB=x\\",
    "variables": "A=1\nB=$A-$HOME-${A}\nC=$A$A",
    "unknown variable": "A=<$NOPE>",
    "dollar": "A=a$$b\nB=$(date)$1$-\nC=a$",
    "default": "A=${NOPE:-x}${BLANK:-y}${BLANK-z}${HOME:-v}\nB=${NOPE-$HOME}\nC=${NOPE:-${HOME}/x}",
    "alternative": "A=${HOME:+x}${NOPE:+y}${BLANK:+z}${BLANK+v}\nB=${HOME:+${HOME}x}",
    "required and there": "A=${HOME:?is missing}${BLANK?is missing}",
    "environment over an earlier line": "HOME=mine\nA=$HOME",
    "CRLF": "A=x\r\nB='y'\r\n",
    "byte order mark": "\ufeffA=x",
    "no value": "A\nHOME\nB=1",
    "not UTF-8": "A=\udcff",
    "text": "A=é\nB=http://x/#y",
}
REFUSED = {
    "open quote": ('B=1\nA="x\n', 'line 2: the quote " is not closed'),
    "open brace": ("A=${B\n", "line 1: '${B' is not ${NAME}"),
    "brace without a name": ("A=${1}\n", "line 1: '${1}' is not ${NAME}"),
    "space in the name": ("A B=x\n", "line 1: 'A B' is not NAME=value"),
    "no name": ("=x\n", "line 1: '' is not NAME=value"),
    "missing": ("A=${B:?set it}\n", "line 1: B has no value: set it"),
    "NUL": ("A=x\0y\n", "line 1: the value of A holds a NUL character"),
}


def read(tmp_path, text):
    path = tmp_path / ".env"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return dotenv.read(path, ENVIRONMENT)


def read_by_compose(tmp_path, text):
    path = tmp_path / ".env"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    model = {"name": "v", "services": {"v": {"image": "none", "environment": dict.fromkeys(NAMES)}}}
    command = ["docker", "compose", "--project-directory", str(tmp_path), "--file", "-", "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], **ENVIRONMENT}
    done = subprocess.run(
        command, env=environment, input=json.dumps(model), capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        return None
    found = json.loads(done.stdout)["services"]["v"]["environment"]
    return {name: value.replace("$$", "$") for name, value in found.items() if value is not None}


@pytest.mark.docker
@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_values_are_those_of_compose(tmp_path, text):
    ours = {name: value for name, value in read(tmp_path, text).items() if name in NAMES}
    assert ours == read_by_compose(tmp_path, text)


@pytest.mark.docker
@pytest.mark.parametrize("text", [text for text, _ in REFUSED.values()], ids=REFUSED)
def test_what_compose_refuses_is_refused(tmp_path, text):
    assert read_by_compose(tmp_path, text) is None


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refusal_names_the_file_and_the_line(tmp_path, text, message):
    with pytest.raises(KitError) as raised:
        read(tmp_path, text)
    assert str(raised.value) == f".env, {message}"


def test_text_after_a_closing_quote_is_refused(tmp_path):
    """compose takes it for another name, and drops it without a word."""
    with pytest.raises(KitError, match="'y' follows the closing quote"):
        read(tmp_path, "A='x'y\n")


def test_missing_file_holds_nothing(tmp_path):
    assert dotenv.read(tmp_path / ".env", {}) == {}


def test_file_that_cannot_be_read_is_reported(tmp_path):
    with pytest.raises(KitError, match="cannot be read: Is a directory"):
        dotenv.read(tmp_path, {})


VALUES = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=40)


@given(VALUES)
def test_quoted_value_is_read_back(value):
    assert dict(dotenv.parse(f"A={dotenv.quote(value)}\nB=1", {"HOME": "/home/ada"})) == {"A": value, "B": "1"}


@pytest.mark.docker
def test_compose_reads_quoted_values_back(tmp_path):
    for value in ("it's a $HOME", 'say "x" \\ # y', "a\nb", "", " ", "$", "'", "a'b\\"):
        assert read_by_compose(tmp_path, f"A={dotenv.quote(value)}\nB=1") == {"A": value, "B": "1"}, value


@given(st.text(st.sampled_from("AB=:'\"$\\{}-? #\n\r\t"), max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        values = dict(dotenv.parse(text, {"A": "x"}))
    except ValueError:
        return
    assert all(isinstance(value, str) for value in values.values())
