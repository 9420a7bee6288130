"""`make sizes`: what each image of the kit adds to its base. DOCS=1 puts the table into docs/running.md."""

from collections.abc import Mapping
from typing import NamedTuple

from kit import compose, containers, documents, env_files, sbom, units, upkeep
from kit.console import step
from kit.errors import KitError

CONTENT = {
    "app": "Python, supervisord, both servers; here the sample project with Django",
    "nginx": "nginx, brotli, OpenSSL",
    "acme": "certbot, and Debian's Python for it",
    "postgres": "PostgreSQL, and LLVM, on which Debian's package depends",
    "redis": "Valkey",
    "backup": "age, gpg, the client of PostgreSQL, Debian's Python",
    "monitor": "Prometheus and three exporters; without promtool, which checks it in the build",
}
FRONT = {"nginx": ("front",)}
"""The proxy of docs/several-sites.md is a compose file of its own, with nginx's image."""


class Image(NamedTuple):
    name: str
    services: list[str]
    octets: int
    added: int
    """To its base, in octets."""


def sizes(environment: Mapping[str, str]) -> int:
    """Raises KitError if an image is missing that the table needs."""
    prepared = compose.prepare(environment)
    base = env_files.read_kit(environment).get("BASE_IMAGE") or upkeep.default_base()
    base_octets = size_of(base, prepared)
    images = measure(prepared, base_octets)
    for image in images:
        added = f"{units.size(image.added):>8} more than its base" if base_octets else ""
        step(f"{image.name:<10}{units.size(image.octets):>8}  {added:<29}{', '.join(image.services)}".rstrip())
    if base_octets:
        step(f"{'base':<10}{units.size(base_octets):>8}  {base}")
    if environment.get("DOCS") == "1":
        if missing := sorted(CONTENT.keys() - {image.name for image in images}):
            raise KitError(f"the table needs all images; these have not been built: {', '.join(missing)}")
        documents.replace("docs/running.md", "make sizes", table(images))
    return 0


def measure(environment: Mapping[str, str], base_octets: int) -> list[Image]:
    """Of the images that are there, in the order of BUILT."""
    every = sbom.services(environment)
    found = []
    for name in containers.BUILT:
        if name in every and (octets := size_of(every[name], environment)):
            services = [each for each, image in every.items() if image == every[name] and each != name]
            found.append(Image(name, [*services, *FRONT.get(name, ())], octets, octets - base_octets))
    return found


def size_of(image: str, environment: Mapping[str, str]) -> int:
    """In octets; 0 if there is no such image."""
    said = containers.call(["image", "inspect", "--format", "{{.Size}}", image], environment).stdout.strip()
    return int(said) if said.isdigit() else 0


def table(images: list[Image]) -> list[str]:
    """In Markdown."""
    rows = ["| image | also runs | added to the base | which is |", "| --- | --- | --- | --- |"]
    for image in images:
        services = ", ".join(f"`{each}`" for each in image.services)
        rows.append(f"| `{image.name}` | {services} | {image.added / 1e6:.0f} MB | {CONTENT[image.name]} |")
    return rows
