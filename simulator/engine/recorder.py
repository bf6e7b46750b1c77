"""Where what happened is written down: one lock, one order, then everyone who listens is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.core.clock import Clock
from simulator.core.timeline import Event, Kind, Listener, Timeline

LogListener = Callable[[int, bytes, str], None]


class Recorder:
    """Stamps events with the clock, keeps them in a timeline and tells the listeners, in order, from any thread."""

    def __init__(self, clock: Clock, listeners: Sequence[Listener] = (), log_listeners: Sequence[LogListener] = ()):
        self.clock = clock
        self.timeline = Timeline()
        self._listeners = list(listeners)
        self._log_listeners = list(log_listeners)
        self._lock = threading.RLock()

    def listen(self, listener: Listener) -> None:
        """Tell one more of what happens from now on."""
        with self._lock:
            self._listeners.append(listener)

    def record(self, kind: Kind, attempt: int = 0, data: Mapping[str, Any] | None = None) -> Event:
        """Write down what happened now."""
        with self._lock:
            event = Event(self.clock.now(), kind, attempt, dict(data or {}))
            self.timeline.append(event)
            for listener in self._listeners:
                listener(event)
            return event

    def log(self, attempt: int, line: bytes, host: str = "") -> None:
        """Hand on a line that the script printed; `host` is empty where the job has only one."""
        with self._lock:
            for listener in self._log_listeners:
                listener(attempt, line, host)
