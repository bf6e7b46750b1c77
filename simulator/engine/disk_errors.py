"""What it means for people when this machine's disk fails under a run."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.core.errors import EnvironmentFailure

_NEXT_STEPS = {
    errno.ENOSPC: ("the disk is full", "make room (df -h; docker system df), then type the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "make room (quota), or set TMPDIR to another disk"),
    errno.EROFS: ("the disk is read-only", "see why (dmesg | tail), or set TMPDIR to another disk"),
    errno.EIO: ("the disk fails", "see why (dmesg | tail), or set TMPDIR to another disk"),
}


@contextmanager
def disk_errors() -> Iterator[None]:
    """Within, an OSError of a disk that fails is an EnvironmentFailure; others stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NEXT_STEPS:
            raise
        what, next_step = _NEXT_STEPS[error.errno]
        raise EnvironmentFailure(what, str(error), next_step) from error
