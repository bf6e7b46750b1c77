"""Files written on the instance outside the mounts: listed for people, the noise of interpreters left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from simulator.runtimes.port import WrittenPath

MOST = 200
NOISE_PARTS = frozenset({"__pycache__", ".cache", ".keras", ".nv", ".config", ".matplotlib"})
NOISE_PATHS = ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname", "/dev/", "/proc/", "/sys/", "/run/")


def is_noise(path: str) -> bool:
    """Whether a path is a by-product of interpreters and libraries, or the engine's own."""
    name = path.rpartition("/")[2]
    if name.endswith(".pyc") or name.startswith(".wh."):  # .wh.: an overlay's own mark of what is deleted or replaced
        return True
    return path.startswith(NOISE_PATHS) or not NOISE_PARTS.isdisjoint(path.split("/"))


def largest(found: Iterable[WrittenPath]) -> Sequence[WrittenPath]:
    """The largest first, at most 200."""
    return sorted(found, key=lambda written: (-written.bytes, written.path))[:MOST]


Stamps = Mapping[Path, tuple[int, int]]
"""File → size and time of its last change (ns)."""


def stamps_of(layers: Mapping[str, Path]) -> Stamps:
    """The regular files that are there now, so that `written_files` can leave out what stays as it is."""
    return {file: stamp for _, file, stamp in _files(layers)}


def written_files(
    layers: Mapping[str, Path], ignored: Sequence[str] = (), before: Stamps = MappingProxyType({})
) -> Sequence[WrittenPath]:
    """The regular files below each layer's folder, by the path the script knew: mount point → folder. What was there
    `before`, as it is now, is left out."""
    return largest(
        WrittenPath(path, stamp[0])
        for path, file, stamp in _files(layers)
        if not is_noise(path) and not path.startswith(tuple(ignored)) and before.get(file) != stamp
    )


def _files(layers: Mapping[str, Path]) -> Iterator[tuple[str, Path, tuple[int, int]]]:
    for mount, folder in layers.items():
        for directory, _, names in os.walk(folder):
            for name in names:
                file = Path(directory, name)
                try:
                    status = file.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield str(Path(mount) / file.relative_to(folder)), file, (status.st_size, status.st_mtime_ns)
