"""The page that tells what a request costs."""

import pytest

from bench import hops, page, profile, syscalls
from bench.running import StartError


@pytest.fixture
def counted(monkeypatch):
    """Calls a request, by server; those that are left out cannot be counted."""
    found = {"granian": 2.5, "bjoern": 4.0}

    def of_server(name, connections, environ):
        if name not in found:
            raise StartError("no answer")
        return syscalls.Calls(found[name], [("recvfrom", 1.0), ("futex", 0.001)], is_traced=name == "bjoern")

    monkeypatch.setattr(syscalls, "of_server", of_server)
    monkeypatch.setattr(page, "missing", lambda: {"granian": "no compiler"})
    return found


def test_calls_are_marked_and_what_cannot_be_counted_is_named(counted):
    counted["ropewalk"] = 3.0
    text = "\n".join(page.calls_section())
    assert "✓ reached" in text
    assert "| ropewalk         | 3.00      | recvfrom 1.00 |" in text
    assert "no answer" in text  # gunicorn
    assert "no compiler" in text
    assert "strace counted them" in text
    counted["ropewalk"] = 4.5
    assert "✗ not reached" in "\n".join(page.calls_section())
    del counted["ropewalk"]
    assert "**not measured**" in "\n".join(page.calls_section())


def test_a_request_is_measured_hop_by_hop(monkeypatch):
    kept = []
    monkeypatch.setattr(hops, "TURNS", 3)
    monkeypatch.setattr(hops, "hops", lambda request: (lambda: None, lambda: bytes(5000), lambda: None))
    text = "\n".join(page.hops_section())
    assert "| Host alone" in text
    assert "0.00" in text
    height, left = hops.memory(lambda: None, lambda: kept.append(object()), lambda: None)
    assert left >= 1
    assert hops.memory(lambda: None, lambda: bytes(5000), lambda: None)[0] >= 5000
    assert height < 5000


def test_functions_are_listed_or_the_reason_is(monkeypatch):
    monkeypatch.setattr(profile, "shares", lambda name, scenario: [("run (a.py:1)", 0.5)])
    assert "| 50.0% | `run (a.py:1)` |" in "\n".join(page.functions_section())

    def refuse(name, scenario):
        raise SystemExit("bench.profile: py-spy: not allowed")

    monkeypatch.setattr(profile, "shares", refuse)
    assert "Not measured: bench.profile: py-spy: not allowed" in "\n".join(page.functions_section())
