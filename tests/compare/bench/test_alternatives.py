"""What else the pool could do: each alternative alters what is there, and the page tells what came of it."""

import json
import os
import re
import subprocess
import sys

import pytest

from bench import alternatives
from bench.alternatives import NOW, Alternative, Group, cells, document, groups
from bench.backends import APPLICATIONS, SERVER
from bench.measure import Terms
from bench.running import StartError

ALL = [(name, one.name) for name, group in groups().items() for one in group.alternatives]


def altered(alter):
    """Import the altered application in a process of its own, as a server does."""
    environ = {"BENCH_APPLICATION": "hello", "BENCH_ALTER": json.dumps(alter), "PYTHONPATH": f"{SERVER}:{APPLICATIONS}"}
    look = "import altered, sys, gc, ropewalk.threads.pool as pool; print(pool.BATCH, sys.getswitchinterval())"
    return subprocess.run(
        [sys.executable, "-c", look], env=os.environ | environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("group", "name"), ALL)
def test_all_that_is_to_be_altered_is_there(group, name):
    (alternative,) = (one for one in groups()[group].alternatives if one.name == name)
    done = altered(alternative.alter)
    assert done.returncode == 0, done.stderr


def test_it_is_altered():
    done = altered({"values": {"ropewalk.threads.pool.BATCH": 5}, "calls": {"sys.setswitchinterval": [0.25]}})
    assert done.stdout == "5 0.25\n"


@pytest.mark.parametrize(
    "alter",
    [
        {"values": {"ropewalk.threads.pool.BUNCH": 5}},
        {"values": {"ropewalk.none.BATCH": 5}},
        {"edits": {"ropewalk.threads.pool.Pool.stop": ["there is no such line", "pass"]}},
    ],
)
def test_what_is_not_there_is_not_altered_in_silence(alter):
    done = altered(alter)
    assert done.returncode == 1
    assert "AttributeError" in done.stderr


def test_every_group_has_what_is_now():
    for group in groups().values():
        assert [NOW in one.name for one in group.alternatives].count(True) == 1, group.title
        assert all(bool(one.alter or one.options) != (NOW in one.name) for one in group.alternatives)


def test_rounds_begin_with_another_and_a_fault_is_told_once(monkeypatch):
    done = []

    def sample(scenario, alternative, run):
        done.append(alternative.name)
        if alternative.name == "b":
            raise StartError("no answer")
        return {"rate": 10.0, "rate_cpu": 100.0 * len(done), "p99": 0.001, "failures": 0.0, "p50": 0.0}

    monkeypatch.setattr(alternatives, "sample", sample)
    group = Group("title", (Alternative(NOW), Alternative("b"), Alternative("c")), alternatives.USUAL[:1])
    found = alternatives.measure(group, Terms(1.0, {}), 2)
    assert done == [NOW, "b", "c", "b", "c", NOW]
    (samples,) = found.values()
    assert samples["b"] == [{"fault": "no answer"}] * 2
    assert [one["rate_cpu"] for one in samples[NOW]] == [100, 600]
    assert cells(samples, NOW) == ("350", "1.00", "600", "1.00", "10", "1.00 ms", "1.00 ms", "0")
    assert cells(samples, "c") == ("400", "1.14", "500", "0.83", "10", "1.00 ms", "1.00 ms", "0")
    assert cells(samples, "b") == ("no answer", *[""] * 7)
    assert cells(samples, "d")[0] == "not measured"
    assert cells({NOW: samples["b"], "c": [*samples["b"], *samples["c"]]}, "c")[:2] == ("400", "")
    assert cells({NOW: [], "c": [*samples["b"], *samples["c"]]}, "c")[-1] == "0, and 2 rounds: no answer"


def test_the_page_names_the_command_of_each_table():
    name, group = next(iter(groups().items()))
    samples = {
        one.name: [{"rate": 900.0, "rate_cpu": 1000.0, "p99": 0.002, "failures": 3.0}] for one in group.alternatives
    }
    about = {"rounds": 1, "seconds": 1.0, "date": "today", "commit": "1", "where": "here", "python": "3"}
    text = document({name: about | {"samples": {"hello": samples}}, "of another time": {}})
    assert f"## {group.title}" in text
    assert "Not measured yet: `rescue`, " in text
    assert f"`compare/bench/run bench.alternatives {name}`" in text
    assert re.search(r"\| 1 000 +\| 1.00 +\| 1 000 +\| 1.00 +\| 900 +\| 2.00 ms \| 2.00 ms +\| 3 ", text)


def test_a_group_that_is_none_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.alternatives", "moon"])
    with pytest.raises(SystemExit) as raised:
        alternatives.main()
    assert raised.value.code == 2
    assert capsys.readouterr().err.startswith("bench: moon: no such group; there are batch, ")
