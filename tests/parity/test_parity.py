"""Ropewalk and gunicorn are asked the same, and must answer the same.

Differences that are meant are in intended.py, with their reasons.
"""

import pytest

from tests.helpers.parity.seen import Seen, differences
from tests.helpers.parity.visitor import Visitor
from tests.parity.exchanges import CONTAINERS, EXCHANGES, PROCESSES, Exchange
from tests.parity.intended import INTENDED

BACKENDS = ("ropewalk", "gunicorn")


def rows(where: str) -> list:
    return [pytest.param(each, id=each.name) for each in EXCHANGES if where in each.where]


@pytest.mark.parametrize("exchange", rows(PROCESSES))
def test_processes_answer_the_same(exchange, processes):
    compare(exchange, processes, PROCESSES)


@pytest.mark.docker
@pytest.mark.parametrize("exchange", rows(CONTAINERS))
def test_containers_behind_nginx_answer_the_same(exchange, containers):
    compare(exchange, containers, CONTAINERS)


def compare(exchange: Exchange, addresses: dict, where: str) -> None:
    visitors = {backend: visit(exchange, addresses[backend]) for backend in BACKENDS}
    seen = {backend: [Seen.of(answer) for answer in visitor.answers] for backend, visitor in visitors.items()}
    intended = [each for each in INTENDED if each.exchange == exchange.name and where in each.where]
    for each in intended:
        for backend in BACKENDS:
            found = each.take(visitors[backend], seen[backend])
            assert each.allows(backend, found), f"{backend}, {each.what}: {found!r} ({each.reason})"
    if exchange.codes is not None and not any(each.what == "answer" for each in intended):
        for backend in BACKENDS:
            assert tuple(answer.code for answer in visitors[backend].answers) == exchange.codes, backend
    ropewalk, gunicorn = (seen[backend] for backend in BACKENDS)
    assert len(ropewalk) == len(gunicorn)
    found = [
        f"answer {number}: {line}"
        for number, (ours, theirs) in enumerate(zip(ropewalk, gunicorn, strict=True), 1)
        for line in differences(ours, theirs)
    ]
    if not any(each.what == "endings" for each in intended):
        ours, theirs = (visitors[backend].endings for backend in BACKENDS)
        found += [] if ours == theirs else [f"connections: ropewalk {ours}, gunicorn {theirs}"]
    assert not found, "\n" + "\n".join(found)


def visit(exchange: Exchange, address) -> Visitor:
    with Visitor(address) as visitor:
        exchange.visit(visitor)
    return visitor


def test_the_table_is_as_large_as_promised():
    assert len(EXCHANGES) >= 60
    names = [each.name for each in EXCHANGES]
    assert len(names) == len(set(names))


def test_every_intended_difference_is_of_an_exchange_in_the_table():
    assert {each.exchange for each in INTENDED} <= {each.name for each in EXCHANGES}
