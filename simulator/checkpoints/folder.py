"""What is in a checkpoint folder now: which files count, which version each is, and which names are never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from simulator.core.job import CHECKPOINT_LOCAL_PATH

UPLOADING_SUFFIX = ".sagemaker-uploading"
UPLOADED_SUFFIX = ".sagemaker-uploaded"
IGNORE_SUFFIX = ".sagemaker-ignore"
NEVER_UPLOADED = (UPLOADING_SUFFIX, UPLOADED_SUFFIX, IGNORE_SUFFIX)
"""The uploader's own markers (read in source), and the XGBoost container's temporary files (that the uploader skips
them is implied by their name only: an assumption)."""


class Stamp(NamedTuple):
    """A file's version: it changes when the file is replaced, written or resized (mtime moves in kernel ticks)."""

    inode: int
    mtime_ns: int
    bytes: int


class Found(NamedTuple):
    """A file of the folder: its version, and where its content is (elsewhere in the folder for a symlink)."""

    stamp: Stamp
    source: str


@dataclass(frozen=True)
class Look:
    """One look at a folder. `unreadable`: folders, relative, that could not be listed; nothing is known below them.
    `passed_over`: path → why a thing that is there is no checkpoint file."""

    files: Mapping[str, Found]
    unreadable: frozenset[str] = frozenset()
    passed_over: Mapping[str, str] = field(default_factory=dict)

    def hides(self, path: str) -> bool:
        """Whether `path` may still be there although this look did not see it."""
        return any(folder == "" or path.startswith(folder + "/") for folder in self.unreadable)


def is_never_uploaded(path: str) -> bool:
    """Whether a file is a marker or a temporary file by its name, and so no part of any checkpoint."""
    return path.endswith(NEVER_UPLOADED)


def is_safe(path: str) -> bool:
    """Whether a relative path stays below the folder that it is joined to, and names a file there."""
    parts = path.split("/")
    return bool(path) and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def look(folder: Path, local_path: str = CHECKPOINT_LOCAL_PATH) -> Look:
    """The regular files below `folder`, by path relative to it; a folder that is not there has none.

    Assumptions (AWS documents nothing): a symlink to a file inside the folder counts as that file; one that is broken,
    leads outside or to a folder, and everything that is no file, is passed over. `local_path` is where the script has
    the folder mounted: absolute links it made there lead here.
    """
    return _Looker(folder, local_path).look()


class _Looker:
    def __init__(self, folder: Path, local_path: str) -> None:
        self._root = os.fspath(folder)
        self._real_root = os.path.realpath(folder)
        self._local_path = local_path.rstrip("/")
        self._files: dict[str, Found] = {}
        self._unreadable: set[str] = set()
        self._passed_over: dict[str, str] = {}

    def look(self) -> Look:
        waiting = [""]
        while waiting:
            self._look_into(waiting.pop(), waiting)
        return Look(self._files, frozenset(self._unreadable), self._passed_over)

    def _look_into(self, relative: str, waiting: list[str]) -> None:
        prefix = relative + "/" if relative else ""
        try:
            with os.scandir(os.path.join(self._root, relative)) as entries:  # noqa: PTH118 - in the hot path
                for entry in entries:
                    self._take(entry, prefix + entry.name, waiting)
        except (FileNotFoundError, NotADirectoryError):
            return  # removed meanwhile
        except OSError:
            self._unreadable.add(relative)

    def _take(self, entry: os.DirEntry[str], path: str, waiting: list[str]) -> None:
        if entry.name.endswith(NEVER_UPLOADED):
            return
        try:
            if entry.is_symlink():
                self._take_link(entry, path)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif not entry.is_file(follow_symlinks=False):
                self._passed_over[path] = "it is neither a file nor a folder"
            elif not _is_utf8(path):
                self._passed_over[path] = "its name is not UTF-8, and S3 keys are"
            else:
                self._files[path] = Found(_stamp(entry.stat(follow_symlinks=False)), entry.path)
        except FileNotFoundError:
            return  # removed meanwhile

    def _take_link(self, entry: os.DirEntry[str], path: str) -> None:
        target = Path(entry.path).readlink()
        if target.is_absolute() and PurePosixPath(target).is_relative_to(self._local_path or "/"):
            aim = Path(self._root) / target.relative_to(self._local_path or "/")
        else:
            aim = Path(entry.path).parent / target
        try:
            source = aim.resolve(strict=True)
            status = source.stat()
        except (OSError, RuntimeError):
            self._passed_over[path] = f"it is a link to {target}, which is not there"
            return
        if not source.is_relative_to(self._real_root):
            self._passed_over[path] = f"it is a link to {target}, outside the checkpoint folder"
        elif not stat.S_ISREG(status.st_mode):
            self._passed_over[path] = f"it is a link to {target}, which is no file"
        elif not _is_utf8(path):
            self._passed_over[path] = "its name is not UTF-8, and S3 keys are"
        else:
            self._files[path] = Found(_stamp(status), os.fspath(source))


def stamp_of(source: str) -> Stamp:
    """The version of one file now. Raises FileNotFoundError."""
    return _stamp(Path(source).lstat())


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_mtime_ns, status.st_size)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
