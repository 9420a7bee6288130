"""Hello in a process that holds about 50 MB of plain objects, as a large project's modules, models and caches do."""

from hello import application

__all__ = ["application"]

HELD = [{"name": f"object {number}", "value": float(number)} for number in range(150_000)]
