"""Another application, with the server altered first: what `bench.alternatives` compares.

BENCH_APPLICATION names the other one's module. BENCH_ALTER is JSON: `values` gives constants by their dotted names;
`edits` a line of a function, by the function's, and what stands there instead; `calls` functions of the standard
library with their arguments; `controller` a name in climber.py. What is to be altered and is not there raises, so that
nothing is measured that was not altered.
"""

import importlib
import inspect
import json
import os
import textwrap


def parent_and_name(path):
    """The module or class that has what `path` names, and its name there. Raises `AttributeError` if there is none."""
    words = path.split(".")
    for count in range(len(words) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(words[:count]))
        except ModuleNotFoundError:
            continue
        for word in words[count:-1]:
            found = getattr(found, word)
        getattr(found, words[-1])
        return found, words[-1]
    raise AttributeError(path)


def edit(path, old, new):
    """Compile a function anew with its line `old` as `new`, which may be several."""
    parent, name = parent_and_name(path)
    function = getattr(parent, name)
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    places = [number for number, line in enumerate(lines) if line.strip() == old]
    if len(places) != 1:
        raise AttributeError(f"{path} has {len(places)} lines {old!r}")
    line = lines[places[0]]
    lines[places[0]] = textwrap.indent(new, line[: len(line) - len(line.lstrip())])
    found = {}
    exec(compile("\n".join(lines), path, "exec"), function.__globals__, found)
    setattr(parent, name, found[name])


def alter(wanted):
    for path, value in wanted.get("values", {}).items():
        setattr(*parent_and_name(path), value)
    for path, (old, new) in wanted.get("edits", {}).items():
        edit(path, old, new)
    for path, arguments in wanted.get("calls", {}).items():
        getattr(*parent_and_name(path))(*arguments)
    if "controller" in wanted:
        from climber import CONTROLLERS

        setattr(*parent_and_name("ropewalk.threads.pool.Controller"), CONTROLLERS[wanted["controller"]])


if "BENCH_APPLICATION" in os.environ:
    application = importlib.import_module(os.environ["BENCH_APPLICATION"]).application
    alter(json.loads(os.environ["BENCH_ALTER"]))
