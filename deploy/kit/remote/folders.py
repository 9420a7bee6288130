"""Files of this machine that containers on the server need: their content is copied into volumes there.

A bind mount names a path of the engine's machine. Of those in docker-compose.yml, four may name one of this machine:
TLS_DIR, ERROR_PAGES, BACKUP_DIR and the file BACKUP_KEY. An override file may have more, and those are refused.
"""

import io
import ssl
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kit.errors import KitError
from kit.remote import connection
from kit.remote.server import Server

VOLUMES = {"TLS_DIR": "tls", "ERROR_PAGES": "pages"}
KEY = ("BACKUP_KEY", "keys")
IMAGES = {"tls": "nginx", "pages": "nginx", KEY[1]: "backup"}
"""The service whose image has what copies into the volume."""
KEY_NAME = "backup_key"
OWNER = 10001
"""The user of the containers."""
MOST = 64 << 20  # octets of a folder: a certificate, or pages
PREFIX = "ROPEWALK_COPY_"
"""Of variables from `prepare` for `send`: PREFIX + volume = path here."""

EXCHANGE = """\
set -eu
cd /target
rm -rf .new
mkdir .new
tar -x -C .new
find . -path ./.new -prune -o -type f -print | while read -r file; do
  [ -e ".new/$file" ] || rm -f "$file"
done
(cd .new && find . -type d) | while read -r folder; do
  mkdir -p "$folder"
  chown --reference=".new/$folder" "$folder"
done
(cd .new && find . -type f) | while read -r file; do
  cmp -s ".new/$file" "$file" || mv -f ".new/$file" "$file"
done
rm -rf .new
"""
"""In a container on the server: each file is replaced in one step, and one that is the same stays."""


class Copy(NamedTuple):
    volume: str
    """As docker-compose.yml names it."""
    source: Path


def is_here(value: str) -> bool:
    """A path of this machine; one that begins with / is the server's, and a plain name is a volume's."""
    return value.startswith((".", "~"))


def prepare(server: Server, values: Mapping[str, str], environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """Variables for compose, in place of those that name a path of this machine. Raises KitError."""
    prepared: dict[str, str] = {}
    for variable, volume in VOLUMES.items():
        value = values.get(variable, "")
        if is_here(value):
            source = (root / Path(value).expanduser()).resolve()
            if not source.is_dir():
                raise KitError(f"{variable}={value!r}: must be an existing folder")
            if variable == "TLS_DIR":
                check_certificate(value, source)
            prepared |= {variable: volume, PREFIX + volume: str(source), f"{variable}_GIVEN": value}
    if PREFIX + "tls" in prepared and "acme" in values.get("COMPOSE_PROFILES", "").split(","):
        raise KitError("TLS_DIR: the profile acme keeps its certificate on the server; leave TLS_DIR blank")
    if is_here(values.get("BACKUP_DIR", "")):
        raise KitError(
            f"BACKUP_DIR={values['BACKUP_DIR']!r}: the schedule writes on {server.host}: a folder there, with its whole"
            " path, or blank for a volume"
        )
    key = (root / Path(values.get(KEY[0]) or "deploy/compose/no-netrc").expanduser()).resolve()
    if not key.is_file():
        raise KitError(f"{KEY[0]}={values[KEY[0]]!r}: must be a file with a public key")
    prepared |= {PREFIX + KEY[1]: str(key), "BACKUP_KEY_PLACE": "volume"}
    _check_there(server, values, environment)
    return prepared


def check_certificate(given: str, folder: Path) -> None:
    """Before it is copied over one that is in use: nginx does not start with such files.

    Raises KitError if there are files, and they are no certificate with its key.
    """
    chain, key = folder / "fullchain.pem", folder / "privkey.pem"
    found = [path.is_file() for path in (chain, key)]
    if not any(found):
        return
    if not all(found):
        raise KitError(f"TLS_DIR={given!r}: must have fullchain.pem and privkey.pem, or neither")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "").lower().replace("_", " ") or "one of them is not in PEM format"
        raise KitError(
            f"TLS_DIR={given!r}: must have a certificate in fullchain.pem and its key, without a passphrase, in"
            f" privkey.pem: {reason}"
        ) from None
    except OSError as error:
        raise KitError(f"TLS_DIR={given!r}: {error.strerror}") from None


def _check_there(server: Server, values: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Docker would create a folder that is missing, for root alone."""
    wanted = {name: value for name in (*VOLUMES, "BACKUP_DIR") if (value := values.get(name, "")).startswith("/")}
    for name, value in wanted.items():
        if connection.call(server, ["test", "-d", f"'{value}'"], environment)[0]:
            raise KitError(
                f"{name}={value!r}: there is no such folder on {server.host}; ./NAME is a folder of this checkout,"
                " which is copied there"
            )


def check(model: Mapping[str, Any], server: Server, root: Path) -> None:
    """Raises KitError for a bind mount of this checkout, which an override file has added."""
    for name, service in model["services"].items():
        for volume in service.get("volumes", ()):
            if volume.get("type") == "bind" and Path(volume["source"]).is_relative_to(root):
                raise KitError(
                    f"the service {name} mounts {volume['source']}, which {server.host} does not have: copy it into the"
                    " image, or use a volume, or a path of the server"
                )
        for kind in ("secrets", "configs"):
            for each in service.get(kind, ()):
                if (model.get(kind, {}).get(each["source"]) or {}).get("file"):
                    raise KitError(
                        f"the service {name} has the {kind[:-1]} {each['source']} from a file, which {server.host} does"
                        " not have: put its content into .env.project"
                    )


def copies(prepared: Mapping[str, str]) -> Iterator[Copy]:
    for name, value in prepared.items():
        if name.startswith(PREFIX):
            yield Copy(name.removeprefix(PREFIX), Path(value))


def send(project: str, image: str, copy: Copy, prepared: Mapping[str, str]) -> None:
    """Into the volume, by a container of the image. Raises KitError."""
    volume = f"{project}_{copy.volume}"
    labels = [f"--label=com.docker.compose.project={project}", f"--label=com.docker.compose.volume={copy.volume}"]
    words = ["run", "--rm", "--interactive", "--network=none", "--user=0:0", "--pull=never", "--entrypoint=/bin/sh"]
    for command, given in (
        (["volume", "create", *labels, volume], b""),
        ([*words, f"--volume={volume}:/target", image, "-c", EXCHANGE], archive(copy.source)),
    ):
        done = subprocess.run(
            ["docker", *command], env=prepared, input=given, capture_output=True, check=False, timeout=120
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
            raise KitError(f"{copy.source} cannot be copied into the volume {volume}: {said[-1]}")


def archive(source: Path) -> bytes:
    """A tar archive of the folder's files, links followed, or of the one file; all for the containers' user.

    Raises KitError.
    """
    content = io.BytesIO()
    total = 0

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        nonlocal total
        total += member.size
        if total > MOST:
            raise KitError(f"{source}: larger than {MOST >> 20} MB")
        member.uid = member.gid = OWNER
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o600 | (member.mode & 0o044)
        return member

    with tarfile.open(fileobj=content, mode="w", dereference=True) as tar:
        try:
            tar.add(source, KEY_NAME if source.is_file() else ".", filter=owned)
        except OSError as error:
            raise KitError(f"{error.filename or source}: {error.strerror}") from None
    return content.getvalue()
