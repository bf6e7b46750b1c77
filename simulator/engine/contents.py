"""What a file holds, as a digest that leaves out when it was written: two equal models must look equal."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

_CHUNK = 1 << 20
_DATED_MEMBERS = frozenset({"metadata.json"})  # a .keras file's: holds date_saved and nothing of the model
_ADDRESS = re.compile(rb'"shared_object_id": \d+')  # Keras writes a memory address into a model's config.json


def content_digest(path: Path) -> str:
    """sha256 (hex) of a file's content; of a zip (.keras, .npz, .pt) of its members' names and bytes.

    Zip members carry the second they were written, and Keras adds a date of its own: neither is model state. Raises
    OSError where the file cannot be read.
    """
    digest = hashlib.sha256()
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name in _DATED_MEMBERS:
                        continue
                    digest.update(name.encode() + b"\0")
                    if name.endswith(".json"):
                        digest.update(_ADDRESS.sub(b"", archive.read(name)))
                        continue
                    with archive.open(name) as member:
                        while chunk := member.read(_CHUNK):
                            digest.update(chunk)
            return digest.hexdigest()
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            digest = hashlib.sha256()  # looks like a zip and is none that can be read: its bytes, then
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_contents(folder: Path) -> dict[str, dict[str, object]]:
    """{path: {bytes, digest}} of every file below a folder; a file that cannot be read has the digest "unreadable"."""
    contents: dict[str, dict[str, object]] = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                contents[path.relative_to(folder).as_posix()] = {
                    "bytes": path.stat().st_size,
                    "digest": content_digest(path),
                }
        except OSError:
            contents[path.relative_to(folder).as_posix()] = {"bytes": -1, "digest": "unreadable"}
    return contents
