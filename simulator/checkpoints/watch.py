"""Hears at once of changes below a folder, where the kernel tells; elsewhere the sync's own looks see them soon."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from simulator.checkpoints.folder import is_never_uploaded

logging.getLogger("watchdog.observers.inotify").setLevel(logging.CRITICAL)
# Its one message says that a watch was ended while it was asked for news, which is how all of ours end.

STOP_SECONDS = 2.0
# No FileModifiedEvent: it comes for each write() call, and the looks see growth soon enough.
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class FolderWatch:
    """Calls `on_change(path, finished)` from its own thread: path relative to the folder; `finished` when its writer
    closed it or renamed it to this name. Events are hints: they may be missing (folders shared into a virtual machine
    have none) or come twice."""

    def __init__(self, folder: Path, on_change: Callable[[str, bool], None]) -> None:
        self._observer = Observer()
        self._observer.daemon = True
        self._handler = _Handler(os.fspath(folder), on_change)
        self._folder = folder
        self._started = False

    def start(self) -> None:
        """Begin to listen; without inotify (limits, no such kernel) it stays silent."""
        try:
            self._observer.schedule(self._handler, os.fspath(self._folder), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            return
        self._started = True

    def stop(self) -> None:
        """Stop listening. Safe to call again."""
        if self._started:
            self._started = False
            self._observer.stop()
            self._observer.join(STOP_SECONDS)


class _Handler(FileSystemEventHandler):
    def __init__(self, folder: str, on_change: Callable[[str, bool], None]) -> None:
        self._folder, self._on_change = folder, on_change

    def dispatch(self, event: FileSystemEvent) -> None:
        moved = event.event_type == "moved"
        where = os.fsdecode(event.dest_path if moved and event.dest_path else event.src_path)
        if is_never_uploaded(where) and (not moved or is_never_uploaded(os.fsdecode(event.src_path))):
            return
        finished = not event.is_directory and event.event_type in ("closed", "moved")
        self._on_change(os.path.relpath(where, self._folder), finished)
