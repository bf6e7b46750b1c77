"""Ctrl-C and SIGTERM to the harness itself: they end the run in good order, and never cut a clean-up short unasked."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_shields = 0
_deferred = False


class UserInterrupt(KeyboardInterrupt):
    """The user (Ctrl-C) or the system (SIGTERM, SIGHUP) ended the run."""


@contextmanager
def orderly_interrupts() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise UserInterrupt in the main thread. Elsewhere it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _deferred
    _deferred = False
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {signum: signal.signal(signum, _interrupt) for signum in signals}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Within, a first interrupt waits until the end; a second one is not kept waiting."""
    global _shields, _deferred
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
    if _deferred and _shields == 0:
        _deferred = False
        raise UserInterrupt


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _deferred
    if _shields and not _deferred:
        _deferred = True
        return
    _deferred = False
    raise UserInterrupt
