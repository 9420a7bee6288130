"""What is said of an error of the application: it begins where the application does, and names what is wrong."""

from __future__ import annotations

from ropewalk.errors import ApplicationError

OF_SERVER = "ropewalk."
"""How the names of modules begin whose frames lead to the application."""


def begin_in_application(error: BaseException) -> None:
    """Leave out of the traceback of `error` the server's frames before the first of the application's, if it has one.

    A compiled module's frames have its name in their globals, too, and a path that nobody knows as their file.
    """
    trace = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith(OF_SERVER):
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def no_iterable(returned: type) -> ApplicationError | None:
    """What to say of an application that has returned an object of this type; None if it can be iterated over."""
    if hasattr(returned, "__iter__") or hasattr(returned, "__getitem__"):
        return None
    if returned is type(None):
        return ApplicationError("the application returned None, not an iterable of bytes; is there a return missing?")
    return ApplicationError(f"the application must return an iterable of bytes, not {returned.__name__}")
