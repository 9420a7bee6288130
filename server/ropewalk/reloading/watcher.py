"""Watches the files of a program under development, and says which of them have changed.

    watcher = Watcher(extra=["settings/*.toml"])
    changed = watcher.wait(stop)

It compares what files are with what they were when they were imported or first seen. The kernel's events only say when
to compare: without them, and where they do not come, it compares at intervals. One thread at a time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ropewalk.reloading import tree
from ropewalk.reloading.events import Events, NoEventsError, has_events, is_available, mounts
from ropewalk.reloading.imported import Stamp, imported_files, stamp_of

ENGINES = ("auto", "inotify", "poll")

INTERVAL = 0.25  # seconds between two comparisons without events
CHECK_INTERVAL = 1.0  # the same with events: for modules that were imported meanwhile, and in case an event is missed
TREE_INTERVAL = 2.0  # seconds between two searches for new templates and extra files
MAX_LOAD = 0.05  # of one processor: where comparing takes long, it is done less often
SETTLING = 0.05  # seconds in which an editor puts a file in place of one that it has removed
LATE_EVENT = 1.0  # seconds that an event may need after the change could be seen


class Watcher:
    """The files of one process and, once it has failed, those that could mend it."""

    def __init__(
        self,
        *,
        extra: Sequence[str] = (),
        ignore: Sequence[str] = (),
        roots: Sequence[str] = (),
        engine: str = "auto",
        interval: float = INTERVAL,
        files: Callable[[], Iterator[tuple[str, Stamp | None]]] = imported_files,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`extra` are paths, folders and glob patterns; `ignore` patterns as for `tree.Ignored`.

        `roots` are the folders in which templates are searched: by default the current one. `files` are those of the
        modules; `report` is given a line about the way of watching.
        """
        self._extra = tuple(os.path.abspath(each) for each in extra)
        self._ignored = tree.Ignored(ignore)
        self._roots = tuple(dict.fromkeys(os.path.abspath(each) for each in roots or ["."]))
        self._interval = interval
        self._files = files
        self._report = report
        self._known: dict[str, Stamp | None] = {}
        """What was last seen of each file; None for one that is missing."""
        self._left_out: set[str] = set()
        self._existing: dict[str, Stamp | None] | None = None
        """What templates and sources were when the program had failed; None if it has not."""
        self._is_searched = False
        self._next_tree = 0.0  # monotonic
        self._next_check = 0.0  # monotonic
        self._events: Events | None = None
        self.is_polling = engine == "poll" or (engine == "auto" and not is_available())
        """Whether it compares at intervals only."""
        self._is_asked_for_events = engine == "inotify"

    def watch_sources(self) -> None:
        """Watch all Python files below the roots, too: one that is missing now may mend the program. Any thread."""
        self._existing = {
            path: stamp_of(path) for root in self._roots for path in tree.templates_and_sources(root, with_sources=True)
        }
        self._next_tree = 0.0

    def note_extra(self, *, is_new: bool = False) -> None:
        """Take the extra files for what they are now, before what reads them does. `is_new`: those are changes."""
        for path in tree.expanded(self._extra):
            self._add(path, None, is_new=is_new)

    def wait(self, stop: threading.Event, timeout: float | None = None) -> list[str]:
        """The paths that have changed since they were last returned; empty if `stop` is set or the time is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not stop.is_set():
            changed = self.changed()
            if changed:
                return changed
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                break
            seconds = max(0.0, self._next_check - now)
            self._sleep(seconds if deadline is None else min(seconds, deadline - now), stop)
        return []

    def changed(self) -> list[str]:
        """Compare now; those that have changed, sorted."""
        began = time.monotonic()
        self._look_through(began)
        changed = [path for path, stamp in self._known.items() if stamp_of(path) != stamp]
        if any(stamp_of(path) is None for path in changed):
            time.sleep(SETTLING)
        changed = [path for path in changed if stamp_of(path) != self._known[path]]
        for path in changed:
            self._known[path] = stamp_of(path)
        now = time.monotonic()
        interval = self._interval if self.is_polling else CHECK_INTERVAL
        self._next_check = now + max(interval, (now - began) / MAX_LOAD)
        return sorted(changed)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None

    def _look_through(self, now: float) -> None:
        """Add the files that are new."""
        for path, stamp in self._files():
            self._add(path, stamp)
        if now < self._next_tree:
            return
        existing, is_first = self._existing, not self._is_searched
        self._is_searched = True
        for root in self._roots:
            for path in tree.templates_and_sources(root, with_sources=existing is not None):
                if existing is None:
                    self._add(path, None, is_new=not is_first)
                else:
                    self._add(path, existing.get(path), is_new=path not in existing)
        self.note_extra(is_new=not is_first)
        ended = time.monotonic()
        if self._existing is existing:
            self._next_tree = ended + max(TREE_INTERVAL, (ended - now) / MAX_LOAD)

    def _add(self, path: str, stamp: Stamp | None, *, is_new: bool = False) -> None:
        """`stamp`: what it was when it was imported; `is_new`: it was not there at the last search."""
        if path in self._known:
            return
        if path in self._left_out:
            return
        if path in self._ignored:
            self._left_out.add(path)
            return
        self._known[path] = None if is_new else (stamp or stamp_of(path))

    # Events

    def _sleep(self, seconds: float, stop: threading.Event) -> None:
        """Return after that time, or when something may have changed."""
        if not self.is_polling:
            try:
                self._wait_for_events(seconds, stop)
            except NoEventsError as error:
                self._poll_because(str(error))
            return
        stop.wait(seconds)

    def _wait_for_events(self, seconds: float, stop: threading.Event) -> None:
        before, events = self._events, self._open_events()
        if events is not before:
            return  # what changed until now had no event
        deadline = time.monotonic() + seconds
        while not stop.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                self._check_for_missed_events(events, stop)
                return
            if any(self._concerns(path) for path in events.wait(left, stop)):
                return

    def _check_for_missed_events(self, events: Events, stop: threading.Event) -> None:
        """If a file has changed and no event comes for it, none will."""
        missed = next((path for path, stamp in list(self._known.items()) if stamp_of(path) != stamp), None)
        if missed is not None and os.path.dirname(missed) in events.folders and not events.wait(LATE_EVENT, stop):
            self._poll_because(f"no event came for {missed}")

    def _concerns(self, path: str) -> bool:
        """Whether the path of an event is that of a file that is watched, or may be."""
        if path in self._known:
            return self._known[path] != stamp_of(path)
        if path in self._left_out or path in self._ignored:
            return False
        if self._existing is not None or self._extra or path.endswith(tree.TEMPLATES):
            self._next_tree = 0.0
            return True
        return any(os.path.realpath(each) == path for each in self._known if os.path.islink(each))

    def _open_events(self) -> Events:
        """Events of the folders that matter now. Raises NoEventsError."""
        wanted = frozenset(self._watched_folders())
        if self._events is None or not wanted <= self._events.folders:
            mounted = mounts()
            for folder in sorted(wanted):
                if not self._is_asked_for_events and not has_events(os.path.realpath(folder), mounted):
                    raise NoEventsError(f"changes of files in {folder} may come from outside of this machine")
            self.close()
            self._events = Events(wanted)
            self._next_check = 0.0
        return self._events

    def _watched_folders(self) -> Iterator[str]:
        yield from (root for root in self._roots if os.path.isdir(root))
        for path in list(self._known):
            for each in {path, os.path.realpath(path)}:
                folder = os.path.dirname(each)
                if os.path.isdir(folder):
                    yield folder

    def _poll_because(self, reason: str) -> None:
        with suppress(Exception):
            self.close()
        self.is_polling = True
        self._next_check = 0.0
        self._report(f"Looking at files every {self._interval:g} s: {reason}")
