"""Watches how checkpoint files are written: under their own name, where a part of them can go up, or aside and renamed.

By the kernel's own events (inotify). Where there are none nothing is told, and then no file is taken to be torn.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from simulator.checkpoints.folder import is_never_uploaded
from simulator.explore.operations import Writing

MOST_PATHS = 20_000
SETTLE_SECONDS = 1.0  # renames are told half a second late, as the library waits for both halves of them
STOP_SECONDS = 2.0
WATCHED_SECONDS = 0.02  # a write that lasted so long was seen to begin
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class WritingWatch:
    """Watches one folder. `start()`, then `stop()`, which waits for the last events; `writings` is by relative path.

    `is_listening` is False where the kernel tells nothing. `now` gives the run's seconds."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.writings: dict[str, Writing] = {}
        self.is_listening = False
        self._stopped = False
        self._folder = folder
        self._observer = Observer()
        self._observer.daemon = True
        self._handler = _Handler(os.fspath(folder), self.writings, now)

    def start(self) -> None:
        """Begin to listen. The folder exists. Other systems' events come merged, and tell less than this needs."""
        if not sys.platform.startswith("linux"):
            return
        try:
            self._observer.schedule(self._handler, os.fspath(self._folder), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            return
        self.is_listening = True

    def stop(self) -> None:
        """Stop listening, once what has happened was told. Safe to call again."""
        if self.is_listening and not self._stopped:
            self._stopped = True
            time.sleep(SETTLE_SECONDS)
            self._observer.stop()
            self._observer.join(STOP_SECONDS)


class _Handler(FileSystemEventHandler):
    """Counts events by path. `_filled` holds the sizes that files had when their last writer closed them; `_sampled`
    those that were seen while one was written over."""

    def __init__(self, folder: str, writings: dict[str, Writing], now: Callable[[], float]) -> None:
        self._folder, self._writings, self._now = folder, writings, now
        self._filled: dict[str, int] = {}
        self._sampled: dict[str, list[tuple[float, int]]] = {}

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            return
        path = os.path.relpath(os.fsdecode(event.src_path), self._folder)
        match event.event_type:
            case "modified":
                self._modified(path)
            case "closed":
                self._closed(path)
            case "moved":
                self._moved(path, os.path.relpath(os.fsdecode(event.dest_path), self._folder))
            case "deleted":
                self._forget(path)

    def _of(self, path: str) -> Writing | None:
        if is_never_uploaded(path) or (path not in self._writings and len(self._writings) >= MOST_PATHS):
            return None
        return self._writings.setdefault(path, Writing())

    def _size(self, path: str) -> int:
        try:
            return Path(self._folder, path).stat().st_size
        except OSError:
            return 0

    def _modified(self, path: str) -> None:
        writing = self._of(path)
        if writing is None:
            return
        writing.changes += 1
        if path in self._filled:
            self._sampled.setdefault(path, []).append((self._now(), self._size(path)))

    def _closed(self, path: str) -> None:
        writing, sampled = self._of(path), self._sampled.pop(path, [])
        if writing is not None and sampled:
            # A quick write shows nothing, and then most likely began with an empty file, as mode "w" does.
            watched = sampled[-1][0] - sampled[0][0] >= WATCHED_SECONDS
            writing.rewrites += 1
            writing.emptied |= not watched or min(size for _, size in sampled) < self._filled.get(path, 0)
        self._filled[path] = self._size(path)

    def _moved(self, path: str, target: str) -> None:
        self._forget(path)
        self._forget(target)
        self._filled[target] = self._size(target)
        writing = self._of(target)
        if writing is not None:
            writing.renames += 1
            writing.aside.append((self._now(), path))

    def _forget(self, path: str) -> None:
        self._filled.pop(path, None)
        self._sampled.pop(path, None)
