"""Layer 0: RFC 9110 and RFC 9112 as pure functions and small state machines.

Nothing here knows of sockets, threads, time, logging or WSGI; limits arrive as plain numbers.
"""
