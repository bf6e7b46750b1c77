"""One prefix of one bucket as a small port, and the manifest of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simulator.core.errors import EnvironmentFailure


@dataclass(frozen=True)
class ObjectInfo:
    """An object as the store tells it: `path` is relative (the key without the prefix and its joining slash)."""

    path: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class FileVersion:
    """What a manifest says of one file: its size in bytes and a digest of its content (sha256, hex)."""

    bytes: int
    digest: str


Manifest = Mapping[str, FileVersion]


class TransferAbandoned(Exception):
    """A transfer was stopped because the instance went; nothing of it counts as durable."""


class StoreUnavailable(EnvironmentFailure):
    """S3 refused, broke off or did not answer in a way that may pass: 503 SlowDown, 500, a timeout, a reset. The same
    request may succeed later, and nothing is known of whether this one was carried out."""


class ObjectStore(Protocol):
    """put, get, list and delete below one prefix. Thread-safe. Errors of the S3 side are EnvironmentFailure after
    the client's own retries, StoreUnavailable where another try may help; get, list and digests have made those tries
    themselves by then. A local file that vanished is FileNotFoundError."""

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        """Store a file; returns what was stored (the bytes sent, even when the file grows meanwhile). Multipart for
        large ones. Raises TransferAbandoned as soon as `is_abandoned()` turns true; then no object appears."""
        ...

    def get(self, path: str, target: Path, is_abandoned: Callable[[], bool] = ...) -> FileVersion:
        """Fetch an object into a file (written aside, then renamed); returns what was fetched. FileNotFoundError
        when there is none; TransferAbandoned once `is_abandoned()` turns true, and then no file appears."""
        ...

    def list(self) -> list[ObjectInfo]:
        """All objects below the prefix, as the prefix was given (no slash added)."""
        ...

    def delete(self, path: str, is_abandoned: Callable[[], bool] = ...) -> None:
        """Delete an object; deleting what is not there is no error. Raises TransferAbandoned where `is_abandoned()`
        turned true before it was carried out."""
        ...

    def digests(self) -> Manifest:
        """The manifest of what is durable now: path → size and sha256 of content."""
        ...
