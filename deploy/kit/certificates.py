"""Why the profile acme has no certificate: from the log of its container (deploy/acme/entrypoint)."""

import re

FAILED = re.compile(r"no certificate from (\S+); next attempt in \d+ s")
OF_A_NAME = re.compile(r"^ *Domain: (\S+)\n.*\n *Detail: (.+)", re.MULTILINE)
"""What the issuer has found wrong."""
UNREACHABLE = re.compile(r"(Failed to (?:resolve|establish)[^\"()]*?)\s*(?:\(|\"|$)", re.MULTILINE)
OTHER = re.compile(
    r"^(?:An unexpected error occurred:\n+)?(?:[\w.]+(?:Error|Exception)|certbot\.errors\.\w+): (.+)", re.MULTILINE
)
LONGEST = 200  # characters of a reason


def problem(log: str) -> str:
    """In one line: of the last attempt that is over, if that has failed; otherwise empty."""
    attempts = list(FAILED.finditer(log))
    if not attempts or "new certificate for" in log[attempts[-1].end() :]:
        return ""
    said = log[attempts[-2].end() if len(attempts) > 1 else 0 : attempts[-1].start()]
    if name := OF_A_NAME.search(said):
        reason = f"{name[1]}: {name[2]}"
    else:
        found = UNREACHABLE.search(said) or OTHER.search(said)
        reason = found[1] if found else "its log says why"
    return f"no certificate from {attempts[-1][1]}: {reason.strip()[:LONGEST]}"
