"""What a folder holds, as a manifest: path → size and sha256 of each checkpoint file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from simulator.checkpoints.folder import look
from simulator.checkpoints.store import FileVersion, Manifest

CHUNK_BYTES = 1 << 20


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a folder that nobody writes to. Markers are left out, and what vanishes meanwhile.

    Raises PermissionError where a file cannot be read.
    """
    files: dict[str, FileVersion] = {}
    for path, found in look(folder).files.items():
        try:
            files[path] = version_of(Path(found.source))
        except FileNotFoundError:
            continue
    return files


def version_of(file: Path) -> FileVersion:
    """Size and sha256 of a file's content."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb", buffering=0) as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return FileVersion(size, digest.hexdigest())
