"""Servers under load while something goes wrong: what became of every request is counted, and judged.

`make faults` runs it; docs/reliability.md is what it writes.
"""
