"""The question before a rollback past migrations: the database stays as the newer release has made it."""

import select
import sys

from kit.release import answers, migrations
from kit.release.answers import Answer
from kit.release.containers import Container
from kit.release.engine import TICK
from kit.release.errors import ReleaseError
from kit.release.signals import Signals
from kit.release.site import Site


def confirm(site: Site, running: Container, tag: str, *, is_forced: bool) -> Answer:
    """What the image of the release says. Raises ReleaseError if it lacks migrations that the live one has, and nobody
    agrees to that."""
    live, wanted = answers.of_both(site.engine, running, site.image.release(tag))
    check(site, live, wanted, tag, is_forced=is_forced)
    return wanted


def check(site: Site, live: Answer, wanted: Answer, tag: str, *, is_forced: bool) -> None:
    """Raises ReleaseError, as `confirm` does."""
    missing = migrations.added(wanted, live)
    if not missing:
        return
    text = f"{tag} does not have these migrations, which stay applied: {migrations.named(missing)}"
    if is_forced:
        site.output.note(f"Warning: {text}", migrations=missing)
    elif site.output.is_live and sys.stdin.isatty():
        site.output.note(text)
        if not ask(site.engine.signals, "Does that release work with the database as it is? [y/N] "):
            raise ReleaseError("nothing was changed")
    else:
        raise ReleaseError(f"{text}. If that release works with them: make rollback TO={tag} FORCE=1")


def ask(signals: Signals, question: str) -> bool:
    """Raises InterruptedByUser."""
    sys.stdout.write(question)
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], TICK)[0]:
        signals.check()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
