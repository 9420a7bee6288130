"""What a deployment brings to a server elsewhere: the images, if they are built here, and files of this machine."""

import time
from collections.abc import Mapping

from kit.errors import KitError
from kit.release.errors import ReleaseError
from kit.release.site import Site
from kit.remote import folders, images

MEGABYTE = 1e6


def builder(site: Site) -> dict[str, str] | None:
    """The variables of the engine that builds, if it is not the site's. Raises ReleaseError."""
    try:
        return images.builder(site.values, site.engine.environment)
    except KitError as error:
        raise ReleaseError(str(error)) from None


def deliver(site: Site, here: Mapping[str, str] | None, app_image: str = "") -> None:
    """After the build. Raises ReleaseError, InterruptedByUser."""
    try:
        if here:
            _send_images(site, here, app_image)
        _send_folders(site)
    except KitError as error:
        raise ReleaseError(str(error)) from None


def _send_images(site: Site, here: Mapping[str, str], app_image: str) -> None:
    names = images.built(site.services, app_image)
    try:
        _transfer(site, names, here, app_image)
    finally:
        if app_image and app_image != site.image.name:
            images.forget(app_image, site.image.name, here)


def _transfer(site: Site, names: list[str], here: Mapping[str, str], app_image: str) -> None:
    there = site.engine.environment
    if registry := site.values.get("REGISTRY"):
        tag = (app_image or site.image.name).rpartition(":")[2]
        images.by_registry(names, registry, here, there, tag, site.output.note)
    else:
        site.output.note(f"Send {', '.join(names)}: the layers that the server does not have")
        began = time.monotonic()
        sent = images.transfer(names, here, there, lambda sent, total: _progress(site, began, sent, total))
        site.output.note(f"Sent {sent / MEGABYTE:.1f} MB in {time.monotonic() - began:.1f} s", sent=sent)


def _progress(site: Site, began: float, sent: int, total: int) -> None:
    site.engine.signals.check()
    rate = sent / max(time.monotonic() - began, 0.1)
    left = (total - sent) / rate if rate else 0
    text = f"sent {sent / MEGABYTE:.0f} of {total / MEGABYTE:.0f} MB, {left:.0f} s left"
    site.output.waiting(began, text)


def _send_folders(site: Site) -> None:
    for copy in folders.copies(site.engine.environment):
        service = site.services.get(folders.IMAGES[copy.volume])
        if service:
            site.output.note(f"Copy {copy.source} into the volume {copy.volume}")
            folders.send(site.project, service["image"], copy, site.engine.environment)
