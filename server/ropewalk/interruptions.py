"""Raising an exception in a thread that runs the application, at a moment when it is in no code of the server's.

CPython delivers such an exception (`PyThreadState_SetAsyncExc`) between two instructions: at the entry of a function,
at a backward jump, and after a call of a function in C. So `lock.acquire()` before a `try` is never safe, and `with
lock` only by accident: up to Python 3.13 nothing is checked between the return of `__enter__` and the protected block,
but 3.14 calls `__enter__` like any function, and checks. A line of a log, or a descriptor, can be lost in the same way.

So what the application calls, and must not be cut short, runs in `with uninterrupted`. There is one permit for each
thread, the item of a list, which is taken by `pop` and given back by `append`: both are atomic, with and without the
GIL.

- The thread takes the permit on entering, and gives it back on leaving.
- `interrupt` announces the exception, then takes the permit. If it gets it, the thread is in no code of ours: it raises
  the exception there, and keeps the permit. Otherwise the thread raises the exception itself, on leaving.
- A thread that finds no permit on entering waits until the exception has arrived, before it does anything else.

None is lost and none is doubled: the thread gives the permit back before it looks for an announcement, and the other
side announces before it takes the permit. Whichever is second sees what the first has done, and only the one that then
gets the permit raises.

A fork never raises, since Python drops what a callback of a fork raises: an exception that is announced meanwhile waits
for the next call of ours. One that arrives where other code drops exceptions, such as in a `__del__` of the
application's, is lost. Then the request goes on, and the watchdog has the worker replaced.
"""

from __future__ import annotations

from threading import Lock, get_ident

JUMPS = 100
"""Backward jumps, by which an exception has arrived: the interpreter checks at each of them."""


class OneTimeEvent:
    """Is set once, and waited for by one thread, in which an exception may arrive meanwhile.

    In `threading.Event.wait`, it could arrive while that thread holds the event's lock, which `set` would then wait for
    without end.
    """

    __slots__ = ("_is_set", "_lock")

    def __init__(self) -> None:
        self._is_set = False
        self._lock = Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Never blocks."""
        self._is_set = True
        self._lock.release()

    def wait(self) -> None:
        """The lock stays taken: nobody needs it any more, and a second call returns at once."""
        if not self._is_set:
            self._lock.acquire()


class InterruptibleThread:
    """One thread that runs the application. It calls all methods itself, except for `interrupt`."""

    __slots__ = ("_announced", "_depth", "_holds_permit", "_ident", "_is_over", "_permit", "_sent")

    def __init__(self) -> None:
        self._ident = get_ident()
        self._permit = [None]
        self._announced: list[type[BaseException]] = []
        self._sent = OneTimeEvent()  # set when the other side will raise nothing more
        self._depth = 0  # of nested `with uninterrupted`
        self._holds_permit = False
        self._is_over = False  # it was raised: there is no other one before `reset`

    def interrupt(self, kind: type[BaseException]) -> bool:
        """Announce `kind`, and raise it unless the thread does that itself. At most once before each `reset`."""
        sent = self._sent = OneTimeEvent()
        self._announced.append(kind)
        try:
            self._permit.pop()
        except IndexError:
            sent.set()
            return True
        try:
            return _raise_in_thread(self._ident, kind)
        finally:
            sent.set()

    def enter(self) -> None:
        """Take the permit, unless it is held. Raises what is on its way."""
        if not self._depth and not self._is_over:
            try:
                self._permit.pop()
            except IndexError:
                self._await_arrival()
            else:
                self._holds_permit = True  # from here on nothing arrives
                if self._announced:
                    self._raise()
        self._depth += 1

    def leave(self) -> None:
        """Give the permit back, and raise what was announced meanwhile."""
        self._depth -= 1
        if self._depth or not self._holds_permit:
            return
        self._holds_permit = False
        self._permit.append(None)
        if self._announced:
            self._raise_announced()

    def _raise_announced(self) -> None:
        try:
            self._permit.pop()
        except IndexError:
            self._await_arrival()
        else:
            self._raise()

    def enter_for_fork(self) -> None:
        """As `enter`, but does not raise: what arrives just now is lost."""
        try:
            self.enter()
        except BaseException:  # noqa: BLE001 - Python would drop it, and the rest of the caller with it
            self.enter()  # there is only one

    def leave_for_fork(self) -> None:
        """As `leave`, but does not raise."""
        self._depth -= 1
        if not self._depth and self._holds_permit:
            self._holds_permit = False
            self._permit.append(None)

    def reset(self) -> None:
        """Allow another one. The exception has arrived, or there was none."""
        if self._announced:
            self._sent.wait()
        self._announced.clear()
        self._permit[:] = [None]
        self._is_over = False

    def _raise(self) -> None:
        """The thread has taken the permit after an announcement, and keeps it."""
        self._holds_permit = False
        self._is_over = True
        raise self._announced[0]

    def _await_arrival(self) -> None:
        self._sent.wait()
        await_arrival()
        self._is_over = True  # it arrived before


_threads: dict[int, InterruptibleThread] = {}
"""By ident; each is added and removed by the thread itself."""


class _Uninterrupted:
    """A context manager for all threads; those that are not registered are not interrupted."""

    def __enter__(self) -> None:
        thread = _threads.get(get_ident())
        if thread is not None:
            thread.enter()

    def __exit__(self, *exc_info: object) -> None:
        thread = _threads.get(get_ident())
        if thread is not None:
            thread.leave()


uninterrupted = _Uninterrupted()
"""`with uninterrupted:` no exception is raised in this block from outside, but perhaps at its end. May be nested."""


def register() -> None:
    """The calling thread will run the application."""
    _threads[get_ident()] = InterruptibleThread()


def unregister() -> None:
    """Undo `register`."""
    _threads.pop(get_ident(), None)


def current() -> InterruptibleThread:
    """The calling thread: between its `enter` and its `leave`, in a `finally`, it is as in `with uninterrupted`."""
    return _threads.get(get_ident()) or InterruptibleThread()


def interrupt(thread: int, kind: type[BaseException]) -> bool:
    """Raise `kind` in the thread of that ident, which is registered; return whether that is possible.

    At most once until that thread calls `reset`. A thread that is in a function written in C (a sleep, a socket) raises
    it when that returns.
    """
    found = _threads.get(thread)
    return found is not None and found.interrupt(kind)


def await_arrival() -> None:
    """Raise in the calling thread what `interrupt`, which has returned, has raised in it."""
    for _ in range(JUMPS):
        pass


def reset() -> None:
    """In the calling thread, nothing is on its way any more: it may be interrupted again."""
    thread = _threads.get(get_ident())
    if thread is not None:
        thread.reset()


def enter_fork() -> None:
    """Before a fork: as `uninterrupted`, but never raises."""
    thread = _threads.get(get_ident())
    if thread is not None:
        thread.enter_for_fork()


def leave_fork() -> None:
    """After a fork, in the parent."""
    thread = _threads.get(get_ident())
    if thread is not None:
        thread.leave_for_fork()


def forget_all() -> None:
    """After a fork, in the child: no thread is left that could interrupt this one."""
    _threads.clear()


def _raise_in_thread(thread: int, kind: type[BaseException]) -> bool:
    try:
        import ctypes  # only when needed: it costs memory, and some builds lack it
    except (ImportError, OSError):  # no descriptor may be free to load it with
        return False
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind)) == 1)
