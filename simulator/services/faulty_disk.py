"""The instance's own disk that misbehaves: full, read-only or slow, from a write on, for a while or for good.

Full and read-only are a tmpfs mounted over a folder, and need root on Linux; shrinking it to what it holds makes it
full without the memory being spent. Slow is a store that reads and writes the disk at a rate: what the harness copies
is slowed, the script's own writes are not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simulator.checkpoints.store import FileVersion, Manifest, ObjectInfo, ObjectStore, TransferAbandoned
from simulator.core.errors import EnvironmentFailure

TRIES_SECONDS = 2.0  # how long a file open for writing keeps a disk from being made read-only
LOOK_SECONDS = 0.02
# From <linux/mount.h> and umount2(2); part of the kernel's ABI.
_READ_ONLY, _REMOUNT, _DETACH = 0x1, 0x20, 0x2


class DiskHarm(StrEnum):
    """What is wrong with the disk."""

    FULL = "full"
    READ_ONLY = "read-only"
    SLOW = "slow"


@dataclass(frozen=True)
class DiskFault:
    """A harm to the disk from the `first` write on that was seen in the checkpoint folder (from 1), for `seconds`;
    None: until the instance goes, as the next one has a disk of its own. SLOW holds from the beginning on, at
    `bytes_per_second`."""

    harm: DiskHarm
    first: int = 1
    seconds: float | None = None
    bytes_per_second: float = 0.0

    @property
    def needs_root(self) -> bool:
        """Whether it takes a mount."""
        return self.harm is not DiskHarm.SLOW

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; what is not set is left out."""
        default = DiskFault(self.harm)
        kept = {name: value for name, value in asdict(self).items() if value != getattr(default, name)}
        return {"harm": self.harm.value, **kept}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> DiskFault:
        """Read back. Raises TypeError and ValueError for anything else."""
        return cls(**{**fields, "harm": DiskHarm(fields["harm"])})


@cache
def why_no_mounts() -> str:
    """Why no disk can be mounted here, in one line; empty where one can. Found out by doing it once."""
    if sys.platform != "linux":
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root"
    import tempfile

    with tempfile.TemporaryDirectory(prefix="spot-simulator-probe-", ignore_cleanup_errors=True) as folder:
        try:
            with FaultyDisk(Path(folder)):
                return ""
        except EnvironmentFailure as failure:
            return f"needs the right to mount: {failure.why}"


class FaultyDisk:
    """A disk of its own over an existing, empty folder; a context manager, or `start()` and `close()`. Where the
    harness is killed, unmounting is the sweep's (`unmount`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mounted, self._blocks = False, 0

    def start(self) -> Self:
        """Mount it. Raises EnvironmentFailure."""
        self._mount(0, "mode=0755")
        self._mounted = True
        self._blocks = os.statvfs(self.folder).f_blocks
        return self

    def fill(self) -> None:
        """No block is free from now on; what is there can be read and overwritten. Raises EnvironmentFailure."""
        status = os.statvfs(self.folder)
        used = status.f_blocks - status.f_bfree
        self._mount(_REMOUNT, f"nr_blocks={max(1, used)}")

    def make_read_only(self) -> None:
        """Nothing can be written from now on. Raises EnvironmentFailure, also where some file stays open for it."""
        gives_up_at = time.monotonic() + TRIES_SECONDS
        while True:
            try:
                return self._mount(_REMOUNT | _READ_ONLY, None)
            except EnvironmentFailure as failure:
                cause = failure.__cause__
                if not isinstance(cause, OSError) or cause.errno != errno.EBUSY or time.monotonic() > gives_up_at:
                    raise
            time.sleep(LOOK_SECONDS)

    def mend(self) -> None:
        """Free and writable again. Raises EnvironmentFailure."""
        self._mount(_REMOUNT, f"nr_blocks={self._blocks}")

    def close(self) -> None:
        """Unmount it, and all that it held is gone. Safe to call again."""
        if self._mounted:
            self._mounted = False
            unmount(self.folder)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _mount(self, flags: int, options: str | None) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        data = None if options is None else options.encode()
        if libc.mount(b"spot-simulator", os.fsencode(self.folder), b"tmpfs", flags, data) != 0:
            error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(self.folder))
            raise EnvironmentFailure(
                f"the disk over {self.folder} cannot be made to fail",
                os.strerror(error.errno or 0),
                "run as root, in a container with CAP_SYS_ADMIN, or leave the disk's faults out",
            ) from error


def unmount(folder: Path) -> None:
    """Take a disk off a folder, whoever still uses it; where none is mounted nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(folder), _DETACH)


class DiskTrouble:
    """Does a disk's harm when its write comes, and undoes it after its time. Tell it of every write that is seen."""

    def __init__(self, disk: FaultyDisk, fault: DiskFault) -> None:
        self._disk, self._fault = disk, fault
        self._writes = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._thread: threading.Thread | None = None
        self.done = 0
        self.failure: EnvironmentFailure | None = None

    def write_seen(self) -> None:
        """A write in the checkpoint folder was seen. Returns at once."""
        with self._lock:
            self._writes += 1
            if self._writes != self._fault.first:
                return
            self._thread = threading.Thread(target=self._harm, daemon=True)
            self._thread.start()

    def _harm(self) -> None:
        try:
            self._disk.fill() if self._fault.harm is DiskHarm.FULL else self._disk.make_read_only()
        except EnvironmentFailure as failure:
            self.failure = failure
            return
        self.done += 1
        if self._fault.seconds is not None:
            self._timer = threading.Timer(self._fault.seconds, self._mend)
            self._timer.daemon = True
            self._timer.start()

    def settle(self) -> None:
        """Wait until the harm that has begun is done."""
        if self._thread is not None:
            self._thread.join(TRIES_SECONDS + 1)

    def instance_goes(self) -> None:
        """The attempt has ended: what is left of it can be removed, and the next one has a sound disk."""
        self.settle()
        if self._thread is not None:
            self._mend()

    def _mend(self) -> None:
        with suppress(EnvironmentFailure):  # unmounted meanwhile
            self._disk.mend()

    def close(self) -> None:
        """Let no harm begin any more."""
        self.settle()
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join(1)
        self.instance_goes()


class SlowDiskStore:
    """An ObjectStore on a slow local disk: files are read for uploads, and written by restores, at a rate."""

    def __init__(self, store: ObjectStore, bytes_per_second: float) -> None:
        self._store, self._rate = store, bytes_per_second
        self.done = 0

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        """As the port has it, after the time that reading takes."""
        self._wait(source.lstat().st_size, is_abandoned, path)
        return self._store.put(source, path, is_abandoned)

    def get(self, path: str, target: Path, is_abandoned: Callable[[], bool] = lambda: False) -> FileVersion:
        """As the port has it, and the time that writing takes."""
        version = self._store.get(path, target, is_abandoned)
        try:
            self._wait(version.bytes, is_abandoned, path)
        except TransferAbandoned:
            target.unlink(missing_ok=True)
            raise
        return version

    def list(self) -> list[ObjectInfo]:
        """As the port has it."""
        return self._store.list()

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        """As the port has it."""
        self._store.delete(path, is_abandoned)

    def digests(self) -> Manifest:
        """As the port has it: nothing of that is on this disk."""
        return self._store.digests()

    def _wait(self, size: int, is_abandoned: Callable[[], bool], path: str) -> None:
        self.done += 1
        until = time.monotonic() + size / self._rate
        while (left := until - time.monotonic()) > 0:
            if is_abandoned():
                raise TransferAbandoned(path)
            time.sleep(min(LOOK_SECONDS, left))
