"""Looks at an attempt's processes between SIGTERM and its end, in a thread of their own: no look delays the reclaim."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from simulator.core.clock import Clock
from simulator.core.errors import EnvironmentFailure
from simulator.core.timeline import Kind
from simulator.runtimes.port import RunningAttempt

LOOKS_AFTER_SECONDS = (0.3, 1.0, 3.0, 10.0, 25.0, 40.0, 80.0)
"""How long after SIGTERM. Few, as in Docker each costs about 100 ms; 25 and 40 enclose the 30 s after which torchrun
kills its workers (pytorch #68258)."""
LAST_LOOK_SECONDS = 1.0  # before SIGKILL; a quarter of the grace where that is shorter
JOIN_SECONDS = 2.0

Emit = Callable[[Kind, Mapping[str, Any]], object]


def look_times(sigterm_at: float, sigkill_at: float) -> list[tuple[float, str]]:
    """When the processes are looked at within a grace, and how each look is called."""
    grace = sigkill_at - sigterm_at
    last = grace - min(LAST_LOOK_SECONDS, grace / 4)
    times = [(sigterm_at + after, "after-sigterm") for after in LOOKS_AFTER_SECONDS if after < 0.9 * last]
    return [*times, (sigterm_at + last, "before-sigkill")]


def take_look(running: RunningAttempt, when: str, clock: Clock, emit: Emit) -> None:
    """One look, recorded with the instant at which it began."""
    looked_at = clock.now()
    processes = [asdict(process) for process in running.processes()]
    emit(Kind.PROCESSES, {"when": when, "looked_at": looked_at, "processes": processes})


class Looks:
    """The looks of one grace. Make it when SIGTERM was sent; `stop` it when the process has ended."""

    def __init__(self, running: RunningAttempt, clock: Clock, emit: Emit, sigterm_at: float, sigkill_at: float) -> None:
        self._running, self._clock, self._emit = running, clock, emit
        self._times = look_times(sigterm_at, sigkill_at)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="looks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No look begins any more; one under way is waited for a moment, and not recorded when it comes later."""
        self._over.set()
        self._thread.join(JOIN_SECONDS)

    def _look(self) -> None:
        for at, when in self._times:
            if self._over.wait(max(0.0, at - self._clock.now())):
                return
            try:
                take_look(self._running, when, self._clock, self._record)
            except EnvironmentFailure:
                return  # an engine that fails ends the run by the thread that waits for the exit; here it has no say

    def _record(self, kind: Kind, data: Mapping[str, Any]) -> None:
        if not self._over.is_set() and data["processes"]:
            self._emit(kind, data)
