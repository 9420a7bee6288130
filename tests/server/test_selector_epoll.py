"""The part of epoll that the server uses, as `selectors` do it: each test runs on the kernel's as well."""

from __future__ import annotations

import os
import select
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ropewalk import selector_epoll
from ropewalk.selector_epoll import EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, Epoll, Poll

ONCE = EPOLLIN | EPOLLONESHOT

SELECTORS = [selectors.PollSelector, selectors.SelectSelector, selectors.EpollSelector]


@pytest.fixture(params=["kernel", *SELECTORS], ids=lambda param: getattr(param, "__name__", param))
def epoll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if request.param == "kernel":
        made: Any = select.epoll()
    else:
        monkeypatch.setattr(selectors, "DefaultSelector", request.param)
        made = Epoll()
    yield made
    made.close()


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def polled(epoll: Any, seconds: float = 20.0) -> list[tuple[int, int]]:
    """What is reported, by however many calls: a change may end one without a report."""
    for _ in range(5):
        found: list[tuple[int, int]] = epoll.poll(seconds, 10)
        if found or not seconds:
            return found
    return []


def test_an_event_is_reported_once_and_again_when_it_is_armed(epoll: Any) -> None:
    with pair() as (ours, theirs):
        fd = ours.fileno()
        epoll.register(fd, ONCE)
        assert polled(epoll, 0) == []
        theirs.send(b"x")
        assert polled(epoll) == [(fd, EPOLLIN)]
        assert polled(epoll, 0) == []
        epoll.modify(fd, ONCE)
        assert polled(epoll) == [(fd, EPOLLIN)]
        epoll.modify(fd, EPOLLOUT | EPOLLONESHOT)
        assert polled(epoll) == [(fd, EPOLLOUT)]


def test_a_change_by_another_thread_counts_while_one_waits(epoll: Any) -> None:
    with pair() as (ours, theirs):
        found: list[Any] = []
        epoll.register(ours.fileno(), EPOLLONESHOT)
        theirs.send(b"x")
        waiting = threading.Thread(target=lambda: found.extend(polled(epoll)))
        waiting.start()
        epoll.modify(ours.fileno(), ONCE)
        waiting.join(20)
        assert found == [(ours.fileno(), EPOLLIN)]


def test_the_end_of_the_peer_is_something_to_read(epoll: Any) -> None:
    with pair() as (ours, theirs):
        epoll.register(ours.fileno(), ONCE)
        theirs.close()
        assert [fd for fd, events in polled(epoll) if events & EPOLLIN] == [ours.fileno()]


def test_a_number_that_another_file_has_now_can_be_registered(epoll: Any) -> None:
    with pair() as (ours, theirs):
        with pair() as (first, _):
            number = first.fileno()
            epoll.register(number, ONCE)
            assert polled(epoll, 0) == []
        os.dup2(ours.fileno(), number)
        try:
            epoll.register(number, ONCE)
            theirs.send(b"x")
            assert polled(epoll) == [(number, EPOLLIN)]
        finally:
            os.close(number)


def test_a_closed_file_disturbs_no_other(epoll: Any) -> None:
    with pair() as (ours, theirs):
        gone, other = socket.socketpair()
        epoll.register(gone.fileno(), ONCE)
        epoll.register(ours.fileno(), ONCE)
        assert polled(epoll, 0) == []
        gone.close()
        other.close()
        theirs.send(b"x")
        assert (ours.fileno(), EPOLLIN) in [each for _ in range(3) for each in epoll.poll(0.1, 10)]


def test_what_is_not_watched_cannot_be_changed(epoll: Any) -> None:
    with pair() as (ours, _):
        for change in (lambda fd: epoll.modify(fd, ONCE), epoll.unregister):
            with pytest.raises(FileNotFoundError):
                change(ours.fileno())
        epoll.register(ours.fileno(), EPOLLOUT)
        epoll.unregister(ours.fileno())
        assert polled(epoll, 0) == []


def test_after_the_end_nothing_can_be_watched(epoll: Any) -> None:
    epoll.close()
    epoll.close()
    with pair() as (ours, _), pytest.raises(ValueError, match="closed epoll"):
        epoll.register(ours.fileno(), ONCE)


@pytest.mark.parametrize("selector", SELECTORS)
def test_an_eventfd_reports_each_write_at_least_once(selector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "DefaultSelector", selector)
    epoll, fd = Epoll(), selector_epoll.eventfd()
    epoll.register(fd, EPOLLIN | EPOLLET)
    for _ in range(3):
        selector_epoll.eventfd_write(fd, 1)
        assert polled(epoll) == [(fd, EPOLLIN)]
        assert polled(epoll, 0) == []
    epoll.close()
    selector_epoll.close_eventfd(fd)


@pytest.mark.parametrize("make", [select.poll, Poll])
def test_poll(make: Callable[[], Any]) -> None:
    poll = make()
    with pair() as (ours, theirs):
        poll.register(ours.fileno(), selector_epoll.POLLIN)
        assert poll.poll(0) == []
        theirs.send(b"x")
        assert poll.poll(None) == [(ours.fileno(), selector_epoll.POLLIN)]
        poll.unregister(ours.fileno())
        assert poll.poll(0) == []
        poll.register(ours.fileno(), selector_epoll.POLLOUT)
        assert poll.poll(1000) == [(ours.fileno(), selector_epoll.POLLOUT)]
    assert poll.poll(0)[0][1] & selector_epoll.POLLNVAL
