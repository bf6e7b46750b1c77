"""An object store in memory: keeps the contract of `ObjectStore`, and can be told to wait or to fail."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from simulator.checkpoints.store import FileVersion, ObjectInfo, TransferAbandoned


class MemoryStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts: list[str] = []
        self.hold = threading.Event()  # cleared: puts wait, as long as they are not abandoned
        self.hold.set()
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def put(self, source: Path, path: str, is_abandoned: Callable[[], bool]) -> FileVersion:
        content = source.read_bytes()
        with self._lock:
            self.puts.append(path)
        while not self.hold.wait(0.005):
            if is_abandoned():
                break
        if is_abandoned():
            raise TransferAbandoned(path)
        if self.error is not None:
            raise self.error
        with self._lock:
            self.objects[path] = content
        return version(content)

    def get(self, path: str, target: Path, is_abandoned: Callable[[], bool] = lambda: False) -> FileVersion:
        if is_abandoned():
            raise TransferAbandoned(path)
        if path not in self.objects:
            raise FileNotFoundError(path)
        target.write_bytes(self.objects[path])
        return version(self.objects[path])

    def list(self) -> list[ObjectInfo]:
        with self._lock:
            return [ObjectInfo(path, len(body), version(body).digest) for path, body in sorted(self.objects.items())]

    def delete(self, path: str, is_abandoned: Callable[[], bool] = lambda: False) -> None:
        with self._lock:
            self.objects.pop(path, None)

    def digests(self) -> dict[str, FileVersion]:
        with self._lock:
            return {path: version(body) for path, body in self.objects.items()}


def version(content: bytes) -> FileVersion:
    return FileVersion(len(content), hashlib.sha256(content).hexdigest())
