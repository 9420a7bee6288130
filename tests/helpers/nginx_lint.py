"""gixy on the nginx configuration, as the entrypoint renders it: `make lint` runs it.

Needs neither nginx nor envsubst on this machine. Prints gixy's findings; the exit status is 1 if there are any.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import kit_files
from bench.kit_files import RenderError, copy_kit

GIXY = Path(sys.executable).with_name("gixy")

RENDERINGS: Mapping[str, Mapping[str, str]] = {
    "the defaults": {},
    "HTTP alone": {"HTTPS": "off"},
    "names, and redirects to HTTPS": {
        "HTTP3": "on",
        "SERVER_NAME": "shop.example www.shop.example",
        "HTTPS_ONLY": "1",
        "HTTPS_PORT": "443",
        "HSTS_SECONDS": "31536000",
        "TRUSTED_PROXIES": "10.0.0.0/8",
    },
}

SKIPPED = {
    "try_files_is_evil_too": "a cache of open files would keep a path as missing after a release has added the file",
    "http2_misdirected_request": "the server for unknown names closes each connection that reaches it (444)",
}
"""gixy's checks whose advice does not fit, with the reason."""

ENVSUBST = f"""#!{sys.executable}
import os, re, sys
names = re.findall(r"[$]([A-Z0-9_]+)", sys.argv[1])
value = lambda found: os.environ.get(found[1] or found[2], "") if (found[1] or found[2]) in names else found[0]
sys.stdout.write(re.sub(r"[$](?:[{{](\\w+)[}}]|(\\w+))", value, sys.stdin.read()))
"""
"""What the entrypoint needs of gettext's program."""


def main() -> int:
    return max(check(name, variables) for name, variables in RENDERINGS.items())


def check(name: str, variables: Mapping[str, str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        configuration = render(Path(folder), variables)
        command = [str(GIXY), "--skips", ",".join(SKIPPED), str(configuration)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        sys.stdout.write(f"nginx, {name} ({' '.join(variables)}):\n{done.stdout}{done.stderr}")
    return done.returncode


def render(folder: Path, variables: Mapping[str, str]) -> Path:
    """Renders the kit's templates below the folder; returns the path of nginx.conf. Needs bash."""
    copy_kit(folder, {"/etc/nginx/mime.types": f"{folder}/mime.types"})
    (folder / "mime.types").touch()
    if not shutil.which("envsubst"):
        program = folder / "kit/bin/envsubst"
        program.write_text(ENVSUBST)
        program.chmod(0o755)
    try:
        return kit_files.render(folder, variables, "10.0.0.2:8000")
    except RenderError as error:
        raise SystemExit(f"nginx, {' '.join(variables)}: it cannot be rendered: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
