"""`make test-remote`: the commands of the kit on a real engine over SSH, as docs/remote.md has them; for some minutes.

HOST names the server, which must not have a site of the name ropewalk-remote-test: it is removed at the end.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "ropewalk-remote-test"
VALUES = {
    "COMPOSE_PROJECT_NAME": NAME,
    "PROJECT_DIR": "tests/kit/plain_project",
    "WSGI_APP": "wsgi:application",
    "HTTP_PORT": "0",
    "HTTPS_PORT": "0",
    "COMPOSE_ENV_FILES": "/dev/null",
}


def kit(*arguments: str, expect: str = "", status: int = 0, **values: str) -> str:
    """Runs the command, and requires its exit status and a part of its output."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "deploy/kit", *arguments],
        cwd=ROOT,
        env=os.environ | VALUES | values,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout + done.stderr
    print(f"{time.monotonic() - began:6.1f} s  {' '.join(arguments)}", flush=True)
    if done.returncode != status or expect not in said:
        raise SystemExit(f"{said}\n{' '.join(arguments)}: status {done.returncode}, and not {status} with {expect!r}")
    return said


def main() -> None:
    if not os.environ.get("HOST"):
        raise SystemExit("which server? make test-remote HOST=user@server")
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".run-remote-") as folder:
        pages = Path(folder) / "pages"
        pages.mkdir()
        (pages / "maintenance.html").write_text("<p>our own page</p>")
        own = {"ERROR_PAGES": f"./{pages.relative_to(ROOT)}"}
        backup = ""
        try:
            kit("setup", expect="docker")
            kit("up", expect="Serving http://localhost:", **own)
            kit("deploy", expect="Nothing has changed", **own)
            kit("deploy", "--force", expect="is live", **own)
            kit(
                "compose",
                "exec",
                "-T",
                "nginx",
                "cat",
                "/kit/nginx/pages/own/maintenance.html",
                expect="our own",
                **own,
            )
            kit("releases", expect="live", **own)
            kit("maintenance", "ON", expect="Everybody", **own)
            kit("maintenance", "OFF", expect="as usual", **own)
            kit("logs", expect="", FOLLOW="0", **own)
            backup = kit("backup", expect="backups/", **own).partition("==> ")[2].partition(":")[0]
            kit("backup-check", expect="all as they were saved", **own)
            kit("restore", expect="Restored", FILE=backup, FORCE="1", **own)
            kit("up", expect="", TLS_DIR="/nowhere", status=2)
            kit("deploy", "--force", expect="Sent ", BUILD="here", **own)
            kit("rollback", expect="is live", **own)
        finally:
            kit("compose", "--profile", "*", "down", "--volumes", "--rmi", "local", **own)
            for path in (ROOT / "backups").glob(f"{NAME}-*"):
                path.unlink()


if __name__ == "__main__":
    main()
