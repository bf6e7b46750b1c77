"""How long an S3 that refuses for now is asked again, and how often: of requests that may be repeated at will."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from simulator.checkpoints.store import StoreUnavailable, TransferAbandoned

PATIENCE_SECONDS = 60.0
"""How long S3 may refuse or not answer, try after try, until the run ends for it: an assumption. AWS documents nothing
of the uploader's own patience; the SDK's standard retry mode makes three attempts within seconds, which a throttled
prefix outlasts (503 Slow Down: "back off and try again", Best practices design patterns, Amazon S3 User Guide)."""
PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)  # between the tries; the last one again and again
LOOK_SECONDS = 0.05  # how often a pause looks whether the instance went

T = TypeVar("T")


def pause_after(tries: int) -> float:
    """The pause after so many tries in vain, from 1."""
    return PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS)) - 1]


def patiently(request: Callable[[], T], patience_seconds: float, is_abandoned: Callable[[], bool]) -> T:
    """The answer to a request. Raises StoreUnavailable when patience ends, TransferAbandoned once the instance went,
    and at once whatever else the request raises."""
    gives_up_at = time.monotonic() + patience_seconds
    tries = 0
    while True:
        try:
            return request()
        except StoreUnavailable:
            tries += 1
            resumes_at = time.monotonic() + pause_after(tries)
            if resumes_at > gives_up_at:
                raise
        while (left := resumes_at - time.monotonic()) > 0:
            if is_abandoned():
                raise TransferAbandoned("the instance went while S3 did not answer")
            time.sleep(min(LOOK_SECONDS, left))
