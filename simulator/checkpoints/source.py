"""The local file that an upload reads, whatever store it goes to."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MAX_KEY_BYTES = 1024  # S3's limit


@contextmanager
def opened(source: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size at this moment. A link or a FIFO put in its place meanwhile is not followed."""
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb", buffering=0) as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(source))
        yield file, status.st_size


def check_key(key: str, path: str) -> None:
    """Raises OSError (ENAMETOOLONG) for a key that S3 does not take."""
    if len(key.encode()) > MAX_KEY_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"S3 keys have at most {MAX_KEY_BYTES} bytes", path)
