"""A job without CheckpointConfig: nothing is restored and nothing goes up, whatever the script writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo
from simulator.checkpoints.sync import CheckpointSync


class NoStore:
    """The ObjectStore of such a job: empty for ever."""

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        """Nobody asks for it."""
        raise NotImplementedError(f"{path} has no place to go: the job has no CheckpointConfig")

    def get(self, path: str, target: Path, is_abandoned: Callable[[], bool] = lambda: False) -> FileVersion:
        """There is no object."""
        raise FileNotFoundError(path)

    def list(self) -> list[ObjectInfo]:
        """Nothing."""
        return []

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        """Nothing is there to be deleted."""

    def digests(self) -> Manifest:
        """Nothing is durable."""
        return {}


class NoSync(CheckpointSync):
    """The sync of such a job: it never starts, and has nothing to finish."""

    def start(self, *_: Any, **__: Any) -> None:
        """Watch nothing."""

    def flush(self, *_: Any, **__: Any) -> bool:
        """Nothing waits."""
        return True

    def freeze(self) -> None:
        """Nothing is on its way."""

    def stop_at_once(self) -> None:
        """Nothing runs."""
