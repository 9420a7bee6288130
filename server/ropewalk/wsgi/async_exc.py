"""Raising an exception in another thread, which CPython offers to C alone."""

from __future__ import annotations


def raise_in_thread(thread: int, kind: type[BaseException]) -> bool:
    """Have `kind` raised in the thread of that ident as soon as it runs Python code; tell whether it could be asked.

    A thread inside a call of C (a sleep, a socket) sees it when the call returns.
    """
    try:
        import ctypes  # loaded when it is needed: it costs memory, and some builds have none
    except ImportError:
        return False
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind)) == 1)
