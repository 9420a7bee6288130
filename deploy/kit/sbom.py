"""`make sbom`: a bill of materials of each image, in the folder sbom/, as CycloneDX 1.6 in JSON.

It lists what dpkg's status and the metadata of Python's distributions say of the image itself, whatever built it. It
is written here, with the standard library, since a server has nothing but Docker and Python.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.parser import HeaderParser
from typing import Any
from urllib.parse import quote

from kit import compose, containers
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT

FOLDER = "sbom"
ASK = r"""
. /etc/os-release; printf '%s\t%s\n' "$ID" "$VERSION_ID"
echo '== packages'
dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Homepage}\n' |
  sed -n 's/^installed\t//p'
echo '== licences'
grep -HE '^License: ' /usr/share/doc/*/copyright 2>/dev/null
echo '== python'
find / -xdev -path '*.dist-info/METADATA' ! -path '/usr/lib/python3/*' \
  -exec sh -c 'for file; do sed "/^\r*$/,\$d" "$file"; echo; done' sh {} + 2>/dev/null
true
"""
"""Runs in the image. Debian's own Python packages are in dpkg's status already."""

ADDRESS = re.compile(
    r"https?://[A-Za-z0-9.-]+(:[0-9]+)?"
    r"(/(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?([?](?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
    r"(#(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?",
    re.ASCII,
)
"""RFC 3986's: with one that is not, such as a host between braces, the schema refuses the whole bill."""

SPDX = {
    "Apache-2.0": "Apache-2.0",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
    "CC0-1.0": "CC0-1.0",
    "Expat": "MIT",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "ISC": "ISC",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3+": "LGPL-3.0-or-later",
    "MIT": "MIT",
    "MPL-2.0": "MPL-2.0",
    "PSF-2": "PSF-2.0",
    "Zlib": "Zlib",
    "zlib": "Zlib",
}
"""SPDX's identifiers of the names in Debian's copyright files. Others are given as they are."""

Component = dict[str, Any]


def sbom(environment: Mapping[str, str]) -> int:
    """Raises KitError if no image is there."""
    prepared = compose.prepare(environment)
    written = 0
    every = services(prepared)
    for service in containers.BUILT:
        image = every.get(service, "")
        inspected = containers.call(["image", "inspect", "--format", "{{.Id}}", image], prepared)
        if inspected.returncode:  # not built, as its profile is off
            continue
        bill = describe(image, inspected.stdout.strip(), ask(image, prepared))
        (ROOT / FOLDER).mkdir(exist_ok=True)
        path = ROOT / FOLDER / f"{service}.cdx.json"
        path.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
        step(f"{path.relative_to(ROOT)}: {len(bill['components'])} packages of {image}")
        written += 1
    if not written:
        raise KitError("no image has been built: make up builds them")
    return 0


def services(environment: Mapping[str, str]) -> dict[str, str]:
    """By service, the name of its image: also of those whose profile is off, as `make backup` builds its own."""
    words = ["compose", "config", "--format", "json"]
    model = json.loads(containers.output(words, {**environment, "COMPOSE_PROFILES": "*"}))
    return {name: service["image"] for name, service in model.get("services", {}).items() if "image" in service}


def ask(image: str, environment: Mapping[str, str]) -> str:
    words = ["run", "--rm", "--pull=never", "--network=none", "--user=0", "--entrypoint=sh", image, "-c", ASK]
    return containers.output(words, environment, timeout=120)


def describe(image: str, identifier: str, said: str) -> dict[str, Any]:
    """The bill of materials, from what ASK prints."""
    head, packages, licences, python = re.split(r"^== \w+\n", said, flags=re.MULTILINE)
    system = head.strip().partition("\t")[::2]
    found = [*_debian(packages, _licences(licences), system), *_python(python)]
    unique: dict[str, Component] = {}
    for component in found:
        unique.setdefault(component["bom-ref"], component)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "container", "bom-ref": identifier, "name": image, "version": identifier},
        },
        "components": [unique[reference] for reference in sorted(unique)],
    }


def _debian(packages: str, licences: Mapping[str, list[str]], system: tuple[str, str]) -> Iterator[Component]:
    distribution, version_id = system
    for line in packages.splitlines():
        name, version, architecture, homepage = line.split("\t")
        query = f"?arch={architecture}&distro={distribution}-{version_id}"
        reference = f"pkg:deb/{distribution}/{quote(name, safe='')}@{quote(version, safe='')}{query}"
        yield _component(name, version, reference, _choices(licences.get(name, ())), homepage)


def _licences(said: str) -> dict[str, list[str]]:
    """By package, the names in its copyright file, each once."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        matched = re.match(r"/usr/share/doc/([^/]+)/copyright:License: *(\S.*)", line)
        if matched and matched[2] not in found.setdefault(matched[1], []):
            found[matched[1]].append(matched[2].strip())
    return found


def _choices(names: Iterable[str]) -> list[dict[str, Any]]:
    identifiers = dict.fromkeys(SPDX.get(name, name) for name in names)
    known = set(SPDX.values())
    return [{"license": {"id" if name in known else "name": name}} for name in identifiers]


def _python(said: str) -> Iterator[Component]:
    for block in re.split(r"\n\n+", said.strip()):
        fields = HeaderParser().parsestr(block)
        if not fields["Name"] or not fields["Version"]:
            continue
        name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
        reference = f"pkg:pypi/{quote(name, safe='')}@{quote(fields['Version'], safe='')}"
        yield _component(fields["Name"], fields["Version"], reference, _of_python(fields), fields["Home-page"] or "")


def _of_python(fields: Any) -> list[dict[str, Any]]:
    if expression := fields["License-Expression"]:
        return [{"expression": expression}]
    classified = [
        text.rpartition(" :: ")[2] for text in fields.get_all("Classifier", ()) if text.startswith("License ::")
    ]
    named = [text for text in classified if text != "OSI Approved"] or [
        (fields["License"] or "").strip().partition("\n")[0]
    ]
    return _choices(filter(None, named))


def _component(name: str, version: str, purl: str, licences: list[dict[str, Any]], homepage: str) -> Component:
    component: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licences:
        component["licenses"] = licences
    if ADDRESS.fullmatch(homepage):
        component["externalReferences"] = [{"type": "website", "url": homepage}]
    return component
