"""Files written on the instance outside the mounts: listed for people, the noise of interpreters left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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


def written_files(layers: Mapping[str, Path], ignored: Sequence[str] = ()) -> Sequence[WrittenPath]:
    """The regular files below each layer's folder, by the path the script knew: mount point → folder."""
    found = []
    for mount, folder in layers.items():
        for directory, _, names in os.walk(folder):
            for name in names:
                file = Path(directory, name)
                path = str(Path(mount) / file.relative_to(folder))
                if is_noise(path) or path.startswith(tuple(ignored)):
                    continue
                try:
                    status = file.lstat()
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    found.append(WrittenPath(path, status.st_size))
    return largest(found)
