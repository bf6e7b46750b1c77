"""How a run is watched: live, plain or quiet; shown from a thread of its own, so that no terminal delays the reclaim.

A terminal can stand still (Ctrl-S, a full pipe) or go away. The run's events must not wait for it: SIGTERM would come
late, and the timeline would be wrong.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from simulator.core.timeline import Event
from simulator.reports.background import Behind
from simulator.reports.live import LiveView
from simulator.reports.plain import PlainLines
from simulator.reports.stream import as_forgiving

QUEUED_LOG_LINES = 20_000  # that a slow terminal may lag behind; beyond that the log file alone has them


class View(Protocol):
    """What is told of a run while it goes on. Every method returns at once and never raises."""

    def say(self, line: str) -> None:
        """A line that belongs to no event: what is being prepared, what was removed."""
        ...

    def on_event(self, event: Event) -> None:
        """Something happened."""
        ...

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """The script printed a line; any bytes."""
        ...

    def tick(self, now: float) -> None:
        """Time passed; `now` in run seconds."""
        ...

    def close(self) -> None:
        """Stop showing, and leave the terminal as it was. Safe to call again."""
        ...


class Quiet:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Not shown."""

    def on_event(self, event: Event) -> None:
        """Not shown."""

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """Not shown."""

    def tick(self, now: float) -> None:
        """Not shown."""

    def close(self) -> None:
        """Nothing is held."""


class Background(Behind[View]):
    """Passes everything on to another view in a thread of its own, in order.

    A view that fails is given up, and so is one whose terminal went; the run goes on. `failure` says why.
    """

    def __init__(self, view: View, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._left_out = 0
        super().__init__(view, monotonic)

    def on_event(self, event: Event) -> None:
        """See View."""
        self.tick(event.at)
        self._put(lambda: self._view.on_event(event))

    def on_log(self, attempt: int, line: bytes | str, host: str = "") -> None:
        """See View."""
        if self._work.qsize() > QUEUED_LOG_LINES:
            self._left_out += 1
            return
        if self._left_out:
            missing, self._left_out = self._left_out, 0
            self.say(f"({missing} lines are not shown here; they are in the log)")
        self._put(lambda: self._view.on_log(attempt, line, host))


@contextmanager
def open_view(name: str = "auto", stream: TextIO | None = None) -> Iterator[View]:
    """The view of that name (auto, live, plain, quiet) on a stream, standard output by default. Auto is live on a
    terminal that can move its cursor, otherwise plain. Within, and at its end however that comes, the terminal is kept
    in order."""
    out = stream or sys.stdout
    view = _view(name, out)
    try:
        yield view
    finally:
        view.close()


def _view(name: str, out: TextIO) -> View:
    forgiving = as_forgiving(out)
    live = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    if name == "quiet":
        return Quiet()
    if name == "live" or (name == "auto" and live):
        return Background(LiveView(forgiving))
    return Background(PlainLines(forgiving))
