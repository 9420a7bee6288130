"""Where things are in this checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "deploy/app"
BACKENDS = ROOT / "deploy/backends"
COMPOSE = ROOT / "deploy/compose"
RUN = ROOT / ".run"
"""What the kit creates on this machine; `make clean` removes it."""
