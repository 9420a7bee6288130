"""hello in a process with about 50 MB of plain objects, like the modules, models and caches of a large project."""

from bench.applications.hello import application

__all__ = ["application"]

HEAP = [{"name": f"object {number}", "value": float(number)} for number in range(150_000)]
