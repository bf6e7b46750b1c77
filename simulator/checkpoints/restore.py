"""Fills an instance's checkpoint folder from S3, and only from there, before its training starts."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from simulator.checkpoints.folder import is_safe
from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo, ObjectStore, TransferAbandoned
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Kind

RESTORE_THREADS = 8
LOOK_SECONDS = 0.1  # how often a restore that waits for its transfers asks whether the instance went

Emit = Callable[[Kind, Mapping[str, Any]], object]


def restore(store: ObjectStore, folder: Path, emit: Emit, is_abandoned: Callable[[], bool]) -> Manifest:
    """Write every object below the store's prefix into `folder` (an existing one); returns what was written.

    Objects whose path would leave the folder, or that a folder of the same name keeps from being a file, are left out
    with a WARNING. Raises TransferAbandoned once the instance went, and EnvironmentFailure.
    """
    started = time.monotonic()
    objects = _restorable(store.list(), emit)
    total = sum(info.bytes for info in objects)
    emit(Kind.RESTORE_STARTED, {"objects": len(objects), "bytes": total})
    _check_free_space(folder, total)
    manifest: dict[str, FileVersion] = {}
    pool = ThreadPoolExecutor(RESTORE_THREADS, "restore")
    try:
        waiting: set[Future[tuple[str, FileVersion | None]]] = {
            pool.submit(_restore_object, store, folder, info, emit, is_abandoned) for info in objects
        }
        while waiting:
            done, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
            for path, version in (future.result() for future in done):
                if version is not None:
                    manifest[path] = version
            if is_abandoned():
                raise TransferAbandoned("the instance went while its checkpoints were being restored")
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if is_abandoned():
        raise TransferAbandoned("the instance went while its checkpoints were being restored")
    emit(
        Kind.RESTORE_FINISHED,
        {
            "objects": len(manifest),
            "bytes": sum(version.bytes for version in manifest.values()),
            "seconds": time.monotonic() - started,
        },
    )
    return manifest


def _restorable(objects: Sequence[ObjectInfo], emit: Emit) -> list[ObjectInfo]:
    """The objects that can be files below the folder, all at once."""
    folders = {parent for info in objects if is_safe(info.path) for parent in _parents(info.path)}
    chosen = []
    for info in objects:
        if not is_safe(info.path):
            emit(Kind.WARNING, {"message": f"not restored: the object {info.path!r}, whose path leaves the folder"})
        elif info.path in folders:
            emit(Kind.WARNING, {"message": f"not restored: the object {info.path!r}, as it is a folder of others too"})
        else:
            chosen.append(info)
    return chosen


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _restore_object(
    store: ObjectStore, folder: Path, info: ObjectInfo, emit: Emit, is_abandoned: Callable[[], bool]
) -> tuple[str, FileVersion | None]:
    if is_abandoned():
        raise TransferAbandoned(info.path)
    started = time.monotonic()
    target = folder / info.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        version = store.get(info.path, target, is_abandoned)
    except FileNotFoundError:
        return info.path, None  # deleted since it was listed
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            emit(Kind.WARNING, {"message": f"not restored: the object {info.path!r}, whose name no file can have"})
            return info.path, None
        raise _disk_failure(folder, error) from error
    emit(
        Kind.OBJECT_RESTORED,
        {"path": info.path, "bytes": version.bytes, "seconds": time.monotonic() - started},
    )
    return info.path, version


def _check_free_space(folder: Path, total: int) -> None:
    size, _, free = shutil.disk_usage(folder)
    if total > free and size > 0:  # a file system without a bound, as a tmpfs may be, tells no size at all
        raise EnvironmentFailure(
            f"the checkpoints do not fit: {total} bytes into {folder}",
            f"{free} bytes are free on its disk",
            f"make room, or set TMPDIR to a larger disk; see df -h {folder}",
        )


def _disk_failure(folder: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"the checkpoints cannot be written into {folder}",
        os.strerror(error.errno) if error.errno else str(error),
        f"see df -h {folder} and ls -ld {folder}",
    )
