"""Raising an exception in another thread, for which CPython has a function in C only."""

from __future__ import annotations


def raise_in_thread(thread: int, kind: type[BaseException]) -> bool:
    """Raise `kind` in the thread of that ident as soon as it runs Python code; return whether that was possible.

    A thread that is in a function written in C (a sleep, a socket) raises it when that returns.
    """
    try:
        import ctypes  # only when needed: it costs memory, and some builds lack it
    except ImportError:
        return False
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind)) == 1)
