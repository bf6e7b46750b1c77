"""Checkpoint folders, stores and a sync under test, with a timeline that can be waited on."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from simulator.checkpoints.store import ObjectStore
from simulator.checkpoints.sync import CheckpointSync, SyncOptions
from simulator.core.timeline import Kind
from simulator.engine.clock import SystemClock
from simulator.services.s3 import S3Kind, S3Service, open_s3

from .memory_store import MemoryStore

DEADLINE_SECONDS = 60.0  # how long a condition may take on the slowest machine; never part of what is asserted


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never came"
        time.sleep(0.002)


class Record:
    """What was emitted, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[Kind, Mapping[str, Any]]] = []
        self._lock = threading.Lock()

    def emit(self, kind: Kind, data: Mapping[str, Any]) -> None:
        with self._lock:
            self.events.append((kind, data))

    def of(self, kind: Kind, path: str | None = None) -> list[Mapping[str, Any]]:
        with self._lock:
            return [data for one, data in self.events if one is kind and (path is None or data.get("path") == path)]

    def kinds(self, path: str) -> list[Kind]:
        with self._lock:
            return [kind for kind, data in self.events if data.get("path") == path]

    def saw(self, kind: Kind, path: str | None = None, times: int = 1) -> None:
        until(lambda: len(self.of(kind, path)) >= times)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Service]:
    with open_s3(S3Kind.EMBEDDED) as service:
        yield service


@pytest.fixture
def bucket() -> str:
    """A bucket of the test's own."""
    return f"test-{uuid.uuid4().hex}"


SyncMaker = Callable[..., CheckpointSync]


@pytest.fixture
def syncing(folder: Path, record: Record) -> Iterator[SyncMaker]:
    """Makes syncs of the folder that are stopped at the test's end."""
    made: list[CheckpointSync] = []

    def make(
        store: ObjectStore,
        options: SyncOptions | None = None,
        grant_access: Callable[[], None] = lambda: None,
        emit: Callable[[Kind, Mapping[str, Any]], None] = record.emit,
    ) -> CheckpointSync:
        sync = CheckpointSync(
            folder, store, SystemClock(), emit, options or SyncOptions(settle_seconds=0.05), grant_access
        )
        made.append(sync)
        return sync

    yield make
    for sync in made:
        sync.stop_at_once()
