"""An object store in a local folder: no server and no wire between a checkpoint and what is durable. For the many short
runs of a search; a single run goes to S3.

Objects are immutable files: a put writes aside and renames, so that whoever holds one (a reader, the archive that it
was taken over from) keeps it. What leaves the store is a clone where the file system makes them (btrfs, XFS: FICLONE)
and otherwise a copy, never a hard link, as scripts write their files in place.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from simulator.checkpoints.folder import is_safe
from simulator.checkpoints.manifest import CHUNK_BYTES
from simulator.checkpoints.source import check_key, opened
from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo, TransferAbandoned
from simulator.core.errors import EnvironmentFailure

FICLONE = 0x40049409  # from <linux/fs.h>: ioctl_ficlonerange(2)
PIECE_CHARACTERS = 200  # of a key in one file name; file systems take 255 bytes
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})  # no reading of a file ends so

IsAbandoned = Callable[[], bool]


class FolderStore:
    """ObjectStore in a folder of its own, which is made if need be; one process at a time writes to it.

    An object's file is named by its whole key, percent-encoded, so that `a` and `a/b` can both be objects, and a key
    that ends in a slash too. Keys longer than a file name are cut into folders.
    """

    def __init__(self, path: Path) -> None:
        self._root, self._aside = path / "objects", path / "aside"
        self._known: dict[str, FileVersion] = {}
        self._lock = threading.Lock()  # guards what is known, and that it is told of the file that is there
        with _store_errors(f"{path} cannot be made"):
            self._root.mkdir(parents=True, exist_ok=True)
            self._aside.mkdir(exist_ok=True)

    def put(self, source: Path, path: str, is_abandoned: IsAbandoned) -> FileVersion:
        """Store a file. Raises FileNotFoundError and other OSErrors of the local file, OSError (ENAMETOOLONG) for a key
        S3 does not take, TransferAbandoned, and EnvironmentFailure where the store's disk fails."""
        check_key(path, path)
        with opened(source) as (file, size), self._made_aside() as (aside, name):
            with _store_errors(f"{path} cannot be stored", _DISK):
                version = _transfer(file, aside, size, is_abandoned, path)
            if is_abandoned():
                raise TransferAbandoned(path)
            with _store_errors(f"{path} cannot be stored"), self._lock:
                aside.flush()
                self._place(name, path)
                self._known[path] = version
        return version

    def get(self, path: str, target: Path, is_abandoned: IsAbandoned = lambda: False) -> FileVersion:
        """Fetch an object. Raises FileNotFoundError when there is none, OSError of the target's disk and
        TransferAbandoned; no file appears then."""
        with self._opened_object(path) as (file, known):
            handle, aside = tempfile.mkstemp(prefix=".spot-", dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as copy:
                    version = _transfer(file, copy, None, is_abandoned, path, known)
                Path(aside).chmod(0o644)  # as any script's own file; mkstemp makes 0600
                Path(aside).replace(target)
            except BaseException:
                Path(aside).unlink(missing_ok=True)
                raise
        return version

    def list(self) -> list[ObjectInfo]:
        """All objects, by path; the ETag is the content's sha256."""
        found = [(path, self._version_of(path)) for path in self._paths()]
        return [ObjectInfo(path, version.bytes, version.digest) for path, version in found if version is not None]

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        """Delete an object; deleting what is not there is no error."""
        with _store_errors(f"{path} cannot be deleted"), self._lock:
            self._known.pop(path, None)
            self._file(path).unlink(missing_ok=True)

    def digests(self) -> Manifest:
        """The manifest of what is durable now; only objects that this store did not write itself are read for it.
        Objects with unsafe paths are left out."""
        return {info.path: FileVersion(info.bytes, info.etag) for info in self.list() if is_safe(info.path)}

    def adopt(self, source: Path, path: str, version: FileVersion) -> None:
        """Make an object of a file that nobody writes to any more, of which the version is known: by a hard link where
        that can be, so that it takes no time and no room. Raises FileNotFoundError and EnvironmentFailure."""
        with self._made_aside() as (_, name):
            link = name.with_name(name.name + "-link")
            try:
                link.hardlink_to(source)
            except FileNotFoundError:
                raise
            except OSError:  # another file system, or one without links
                self.put(source, path, lambda: False)
                return
            with _store_errors(f"{path} cannot be stored"), self._lock:
                self._place(link, path)
                self._known[path] = version

    def _place(self, aside: Path, path: str) -> None:
        file = self._file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(file)

    def _file(self, path: str) -> Path:
        """`=` marks an object's file and `+` a folder: quote() writes neither, so that no two keys share a name."""
        name = quote(path, safe="")
        *folders, last = (name[at : at + PIECE_CHARACTERS] for at in range(0, len(name), PIECE_CHARACTERS))
        return self._root.joinpath(*(folder + "+" for folder in folders), "=" + last)

    def _paths(self) -> Sequence[str]:
        found = []
        for folder, _, names in os.walk(self._root):
            pieces = [part[:-1] for part in Path(folder).relative_to(self._root).parts]
            found += [unquote("".join(pieces) + name[1:]) for name in names]
        return sorted(found)

    def _version_of(self, path: str) -> FileVersion | None:
        """None for an object that is not there (any more)."""
        with self._lock:
            known = self._known.get(path)
        if known is not None:
            return known
        try:
            with self._opened_object(path) as (file, _):
                return _hashed(file)
        except FileNotFoundError:
            return None

    @contextmanager
    def _opened_object(self, path: str) -> Iterator[tuple[BinaryIO, FileVersion | None]]:
        """An object's file, open, and what is known of just this one."""
        with self._lock:
            try:
                file = self._file(path).open("rb")
            except FileNotFoundError:
                raise FileNotFoundError(errno.ENOENT, "there is no such object", path) from None
            known = self._known.get(path)
        with file:
            yield file, known

    @contextmanager
    def _made_aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        with _store_errors("an object cannot be written"):
            handle, name = tempfile.mkstemp(dir=self._aside)
        with os.fdopen(handle, "wb") as file:
            try:
                yield file, Path(name)
            finally:
                Path(name).unlink(missing_ok=True)


def _transfer(
    file: BinaryIO,
    copy: BinaryIO,
    size: int | None,
    is_abandoned: IsAbandoned,
    path: str,
    known: FileVersion | None = None,
) -> FileVersion:
    """Copy `size` bytes (None: all), by a clone where the file system can; the version is of the bytes that were
    copied, also when the file changes meanwhile. Raises TransferAbandoned."""
    if is_abandoned():
        raise TransferAbandoned(path)
    if size is None and known is not None and _cloned(file, copy):
        return known
    digest, copied = hashlib.sha256(), 0
    while (left := CHUNK_BYTES if size is None else min(CHUNK_BYTES, size - copied)) and (chunk := file.read(left)):
        if is_abandoned():
            raise TransferAbandoned(path)
        digest.update(chunk)
        copy.write(chunk)
        copied += len(chunk)
    return FileVersion(copied, digest.hexdigest())


def _cloned(file: BinaryIO, copy: BinaryIO) -> bool:
    with suppress(OSError):  # another file system, or one that cannot
        fcntl.ioctl(copy.fileno(), FICLONE, file.fileno())
        return True
    return False


def _hashed(file: BinaryIO) -> FileVersion:
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return FileVersion(size, digest.hexdigest())


@contextmanager
def _store_errors(what: str, only: frozenset[int] = frozenset()) -> Iterator[None]:
    """The store's own disk fails as S3 does: the run ends by it, and the script is not to blame. `only`: the errors
    that are the store's, where a local file is read too; none for all."""
    try:
        yield
    except OSError as error:
        if only and error.errno not in only:
            raise
        free = shutil.disk_usage(tempfile.gettempdir()).free
        raise EnvironmentFailure(
            what, f"{error.strerror or error}; {free} bytes are free", "make room, or set TMPDIR to a larger disk"
        ) from error
