"""Every version that a run stored, kept by its digest, and put together again as S3 held them at some moment."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from simulator.checkpoints.manifest import CHUNK_BYTES
from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo, ObjectStore
from simulator.explore.operations import Cut


class Archive:
    """A folder of files named by the sha256 of their content. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def at(self, digest: str) -> Path:
        """Where a version is kept; not to be written to."""
        return self.folder / digest

    def keep(self, file: Path, digest: str) -> None:
        """Take a file over, which moves. It is on the archive's own disk."""
        file.chmod(0o444)
        file.replace(self.at(digest))

    def cut(self, digest: str, kept: int, tail: str = "") -> Cut:
        """A capture of a version: its first `kept` bytes, then those of another from there on."""
        hashed, size = hashlib.sha256(), 0
        for chunk in self._pieces(digest, kept, tail):
            hashed.update(chunk)
            size += len(chunk)
        return Cut(kept, size, hashed.hexdigest(), tail)

    def write_cut(self, digest: str, cut: Cut, target: Path) -> None:
        """Write a capture out."""
        with target.open("wb") as file:
            for chunk in self._pieces(digest, cut.kept, cut.tail):
                file.write(chunk)

    def size(self, digest: str) -> int:
        """Bytes of a version. Raises FileNotFoundError."""
        return self.at(digest).stat().st_size

    def _pieces(self, digest: str, kept: int, tail: str) -> Iterator[bytes]:
        with self.at(digest).open("rb") as file:
            left = kept
            while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
        if tail:
            with self.at(tail).open("rb") as file:
                file.seek(kept)
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk


class ArchivingStore:
    """An ObjectStore around another one, that keeps what it stores: the very bytes, whatever becomes of the file."""

    def __init__(self, store: ObjectStore, archive: Archive) -> None:
        self._store, self._archive = store, archive

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        """As `ObjectStore.put`. The file is copied first (shared blocks where the disk can), and the copy goes up."""
        handle, name = tempfile.mkstemp(prefix=".incoming-", dir=self._archive.folder)
        os.close(handle)
        copy = Path(name)
        try:
            _copy(source, copy)
            version = self._store.put(copy, path, is_abandoned)
            self._archive.keep(copy, version.digest)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return version

    def get(self, path: str, target: Path, is_abandoned: Callable[[], bool] = lambda: False) -> FileVersion:
        """As `ObjectStore.get`."""
        return self._store.get(path, target, is_abandoned)

    def list(self) -> list[ObjectInfo]:
        """As `ObjectStore.list`."""
        return self._store.list()

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        """As `ObjectStore.delete`."""
        self._store.delete(path, is_abandoned)

    def digests(self) -> Manifest:
        """As `ObjectStore.digests`."""
        return self._store.digests()


def _copy(source: Path, target: Path) -> None:
    """A regular file's bytes. Raises OSError, for a link put in its place too."""
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as file, target.open("wb", buffering=0) as copy:
        with suppress(OSError, AttributeError):  # not on this system, or not between these disks
            while os.copy_file_range(file.fileno(), copy.fileno(), 1 << 30):
                pass
            return
        file.seek(0)
        copy.truncate(0)
        copy.seek(0)
        shutil.copyfileobj(file, copy, CHUNK_BYTES)
