"""Layer 3: the pool of threads over one epoll, and the controller that decides how many of them run.

What the threads work on is an `Item`; that it is a connection, and what a request is, nobody here knows.
"""
