"""Shows things in a thread of its own, in order: a terminal that stands still holds nothing else up."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 0.25  # how often the time is shown while nothing happens
CLOSE_SECONDS = 5.0  # how long the last lines may take


class Shown(Protocol):
    """What every view has."""

    def say(self, line: str) -> None:
        """A line that belongs to no event."""
        ...

    def tick(self, now: float) -> None:
        """Time passed; `now` in seconds."""
        ...

    def close(self) -> None:
        """Stop showing, and leave the terminal as it was. Safe to call again."""
        ...


Of = TypeVar("Of", bound=Shown)


class Behind(Generic[Of]):
    """A view shown from a thread. One that fails is given up, and so is one whose terminal went; `failure` says why."""

    def __init__(self, view: Of, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._view, self._monotonic = view, monotonic
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._now, self._now_at = 0.0, monotonic()
        self._closed = False
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._show, name="view", daemon=True)
        self._thread.start()

    @property
    def now(self) -> float:
        """The time that the view is shown: seconds since the last that it was told, on top of that."""
        return self._now + self._monotonic() - self._now_at

    def say(self, line: str) -> None:
        """See Shown."""
        self._put(lambda: self._view.say(line))

    def tick(self, now: float) -> None:
        """See Shown; the thread itself asks the view to show the time."""
        self._now, self._now_at = now, self._monotonic()

    def close(self) -> None:
        """See Shown."""
        if self._closed:
            return
        self._closed = True
        self._work.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _put(self, work: Callable[[], None]) -> None:
        if self.failure is None and not self._closed:
            self._work.put(work)

    def _show(self) -> None:
        try:
            next_tick = self._monotonic() + IDLE_SECONDS
            while True:
                try:
                    work = self._work.get(timeout=max(0.0, next_tick - self._monotonic()))
                    if work is None:
                        break
                    work()
                except queue.Empty:
                    pass
                if self._monotonic() >= next_tick:
                    self._view.tick(self.now)
                    next_tick = self._monotonic() + IDLE_SECONDS
        except Exception as error:  # noqa: BLE001 - whatever fails in showing a run must not end it
            self.failure = error
        finally:
            try:
                self._view.close()
            except Exception as error:  # noqa: BLE001 - as above
                self.failure = self.failure or error
