"""Durations and sizes for people."""


def duration(seconds: float) -> str:
    """0.4 ms, 12 ms, 3.21 s, 2 min, 3 h, 5 days: two or three digits, as they matter."""
    if seconds < 0.001:
        return f"{seconds * 1000:.1f} ms" if seconds else "0 ms"
    for least, unit in ((86400 * 2, "days"), (3600 * 2, "h"), (120, "min")):
        if seconds >= least:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def size(octets: float) -> str:
    """512 B, 1.5 kB, 20 MB, 3.2 GB: powers of 1000, as `docker` prints them."""
    if octets < 1000:
        return f"{octets:.0f} B"
    for unit in ("kB", "MB", "GB"):
        octets /= 1000
        if octets < 999.5 or unit == "GB":
            break
    return f"{octets:.1f} {unit}" if octets < 10 else f"{octets:.0f} {unit}"
