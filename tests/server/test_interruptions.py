"""Exceptions that are raised in another thread come at a moment when that thread is in no code of the server's."""

from __future__ import annotations

import ast
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import ropewalk
from ropewalk import interruptions
from ropewalk.interruptions import uninterrupted

INTERRUPTIONS = int(os.environ.get("INTERRUPTIONS", "1500")) * 2

WITH_LOCKS = {
    "embedded": "taken by a program that stops its server, not by the application",
    "interruptions": "of the interruptions themselves, taken by the thread that waits for one",
    "logs.access_log": "taken after a response, or in `with uninterrupted`",
    "logs.error_log": "taken in `with uninterrupted`",
    "logs.sink": "taken in `with uninterrupted`",
    "net.acceptor": "taken by threads that poll, or in `with uninterrupted` of `Exchange.write`",
    "net.body_budget": "taken outside of the application, or in `with uninterrupted` of `Exchange.write`",
    "net.idle_closer": "taken by threads that poll, or in `with uninterrupted` of `Exchange.write`",
    "net.response_budget": "taken outside of the application, or in `with uninterrupted` of `Exchange.write`",
    "net.streamed_response": "taken outside of the application, or in `with uninterrupted` of `Exchange.write`",
    "runtime.caller_thread": "taken in `with uninterrupted`, or outside of the application",
    "runtime.in_flight": "taken by the thread that interrupts",
    "runtime.refusals": "taken by whichever thread refuses a request, outside of the application",
    "selector_epoll": "taken outside of the application, or in `with uninterrupted` of `Exchange.write`",
    "threads.parking": "of threads that have nothing to do",
    "threads.pool": "taken by threads that have nothing to run",
    "wsgi.dropped_fields": "taken before the application is called",
    "wsgi.exchange": "taken in `with uninterrupted`",
}
"""The modules that have locks, and why no interruption comes while one is held."""


class InterruptionError(Exception):
    pass


class Target(threading.Thread):
    """A thread that is registered, runs `work`, and remembers what that raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.raised: BaseException | None = None
        self._work = work

    def run(self) -> None:
        interruptions.register()
        try:
            self._work()
        except InterruptionError as error:
            self.raised = error
        finally:
            interruptions.reset()
            interruptions.unregister()

    def interrupt(self) -> bool:
        assert self.ident is not None
        return interruptions.interrupt(self.ident, InterruptionError)


@contextmanager
def running(work: Callable[[], None]) -> Iterator[Target]:
    target = Target(work)
    target.start()
    yield target
    target.join(20)
    assert not target.is_alive()


class Steps:
    """What a target has done, and when it may go on."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.is_inside, self.go_on = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.is_inside.set()
        assert self.go_on.wait(20)
        interruptions.await_arrival()
        self.done.append("went on")


def test_it_is_raised_at_the_end_of_the_outermost_block() -> None:
    steps = Steps()

    def work() -> None:
        with uninterrupted:
            with uninterrupted:
                steps.wait()
            steps.done.append("left one")
        steps.done.append("left both")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert isinstance(target.raised, InterruptionError)
    assert steps.done == ["went on", "left one"]


def test_it_is_raised_before_a_block_if_it_was_on_its_way() -> None:
    steps = Steps()

    def work() -> None:
        steps.is_inside.set()
        steps.go_on.wait(20)
        with uninterrupted:
            steps.done.append("entered")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert isinstance(target.raised, InterruptionError)
    assert steps.done == []


@pytest.mark.parametrize("is_inside", [True, False])
def test_it_is_raised_once(is_inside: bool) -> None:
    """Code that handles it enters blocks as before."""
    steps = Steps()

    def work() -> None:
        try:
            if is_inside:
                with uninterrupted:
                    steps.wait()
            else:
                steps.wait()
        except InterruptionError:
            steps.done.append("raised")
        for _ in range(3):
            with uninterrupted:
                interruptions.await_arrival()
        steps.done.append("ended")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert target.raised is None
    assert steps.done[-2:] == ["raised", "ended"]


def test_an_error_of_the_block_is_the_context() -> None:
    steps = Steps()

    def work() -> None:
        with uninterrupted:
            steps.wait()
            raise ValueError("planted")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert isinstance(target.raised, InterruptionError)
    assert isinstance(target.raised.__context__, ValueError)


def test_a_fork_does_not_raise_but_the_next_block_does() -> None:
    steps = Steps()

    def work() -> None:
        interruptions.enter_fork()
        steps.wait()
        interruptions.leave_fork()
        interruptions.await_arrival()
        steps.done.append("forked")
        with uninterrupted:
            steps.done.append("entered")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert isinstance(target.raised, InterruptionError)
    assert steps.done == ["went on", "forked"]


def test_a_fork_takes_what_is_on_its_way() -> None:
    steps = Steps()

    def work() -> None:
        steps.is_inside.set()
        steps.go_on.wait(20)
        interruptions.enter_fork()
        steps.done.append("forked")
        interruptions.leave_fork()
        with uninterrupted:
            steps.done.append("entered")

    with running(work) as target:
        assert steps.is_inside.wait(20)
        assert target.interrupt()
        steps.go_on.set()
    assert steps.done in ([], ["forked", "entered"])  # it comes before the call, or in it


def test_a_thread_that_is_not_registered_is_left_alone() -> None:
    assert not interruptions.interrupt(threading.get_ident(), InterruptionError)
    with uninterrupted:
        pass
    interruptions.enter_fork()
    interruptions.leave_fork()
    interruptions.reset()


@pytest.mark.usefixtures("often_interrupted")
def test_no_lock_stays_held_whenever_it_comes() -> None:
    """A lock that is taken in the way that is never safe otherwise, by a thread that is interrupted again and again."""
    lock, entered, left = threading.Lock(), 0, 0
    ready, raised = threading.Semaphore(0), 0

    def hold() -> None:
        nonlocal entered, left
        with uninterrupted:
            lock.acquire()
            entered += 1
            interruptions.await_arrival()
            left += 1
            lock.release()

    def work() -> None:
        nonlocal raised
        for _ in range(INTERRUPTIONS):
            try:
                ready.release()
                while True:
                    hold()
            except InterruptionError:
                raised += 1
            assert not lock.locked()
            assert entered == left
            interruptions.reset()

    with running(work) as target:
        for _ in range(INTERRUPTIONS):
            assert ready.acquire(timeout=20)
            assert target.interrupt()
    assert raised == INTERRUPTIONS


def modules_with_locks() -> Iterator[str]:
    root = Path(ropewalk.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in ("Lock", "RLock", "Condition", "Semaphore"):
                yield ".".join(path.relative_to(root).with_suffix("").parts)


def test_every_lock_is_known() -> None:
    assert set(modules_with_locks()) == set(WITH_LOCKS)


@pytest.mark.parametrize("error", [ImportError("no such module"), OSError(errno.EMFILE, "Too many open files")])
def test_without_ctypes_nothing_is_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """No descriptor may be free to load it with: the thread that asks goes on, and has the worker replaced."""

    def refuse(*arguments: object) -> object:
        raise error

    interruptions.register()
    monkeypatch.setattr("builtins.__import__", refuse)
    is_possible = interruptions.interrupt(threading.get_ident(), InterruptionError)
    monkeypatch.undo()
    interruptions.reset()
    interruptions.unregister()
    assert not is_possible


class PlantedError(BaseException):
    pass


def wait_and_raise_at(event: interruptions.OneTimeEvent, number: int, raised: list[bool]) -> None:
    """Waits for the event, and raises before the instruction of that number: all between which Python may raise."""
    left = [number]

    def trace(frame: FrameType, kind: str, _argument: object) -> object:
        frame.f_trace_opcodes = True
        if kind == "opcode":
            left[0] -= 1
            if left[0] < 0 and not raised:
                raised.append(True)
                raise PlantedError
        return trace

    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks `settrace` for instructions only if a frame has them
    sys.settrace(trace)  # frames that begin from now on: those of `wait`
    try:  # noqa: SIM105 - `suppress` has frames of its own
        event.wait()
    except PlantedError:
        pass
    sys.settrace(None)


@pytest.mark.parametrize("is_early", [True, False], ids=["set before", "set while it waits"])
def test_thread_that_is_interrupted_while_it_waits_never_blocks_the_other_side(is_early: bool) -> None:
    for number in range(200):
        event = interruptions.OneTimeEvent()
        if is_early:
            event.set()
        raised: list[bool] = []
        waiting = threading.Thread(target=wait_and_raise_at, args=(event, number, raised), daemon=True)
        waiting.start()
        waiting.join(0.05)
        if not is_early:
            setting = threading.Thread(target=event.set, daemon=True)
            setting.start()
            setting.join(10)
            assert not setting.is_alive()
        waiting.join(10)
        assert not waiting.is_alive()
        again = threading.Thread(target=event.wait, daemon=True)
        again.start()
        again.join(10)
        assert not again.is_alive()
        if not raised:
            assert number > 3
            return
    pytest.fail("the end of wait was never reached")
