"""What checkpoints and the model hold, written down while the instance still has them: only where runs are compared.

A checkpoint is read soon after it was written, in a thread of its own, since a later one may take its place; at the
job's end the checkpoints that are left and the model are read. Reading never holds up the reclaim, and what was not
read in time is simply not known.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from simulator.checkpoints.folder import stamp_of
from simulator.core.timeline import Kind
from simulator.states.read import LIMIT_BYTES, LIMIT_SECONDS, Budget, State, read_folder, read_state, unit_of

WRITTEN_LIMIT_BYTES = 256 << 20  # of one checkpoint while training goes on beside it
WRITTEN_LIMIT_SECONDS = 10.0
WRITTEN_MOST_TENSORS = 200_000
"""Of one attempt on the timeline, some twenty megabytes; what is written later is not noted until the end."""
_MOST_WAITING = 64
_STOPS_WITHIN_SECONDS = 2 * WRITTEN_LIMIT_SECONDS


class StateWatch:
    """Reads one attempt's states and records them as STATE events."""

    def __init__(self, checkpoints: Path, emit: Callable[[Kind, Mapping[str, Any]], object]) -> None:
        self._checkpoints, self._emit = checkpoints, emit
        self._waiting: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._stopped = threading.Event()
        self._last: dict[str, str] = {}
        self._tensors_left = WRITTEN_MOST_TENSORS
        self._thread = threading.Thread(target=self._read_on, name="states", daemon=True)
        self._thread.start()

    def settled(self, path: str) -> None:
        """A checkpoint file's write is over."""
        with suppress(queue.Full):  # more than can be read: then this one is not known
            self._waiting.put_nowait(path)

    def stop(self) -> None:
        """Read no more of what was written; what is being read is finished. Safe to call again."""
        self._stopped.set()
        with suppress(queue.Full):  # then there is enough to wake it
            self._waiting.put_nowait(None)
        self._thread.join(_STOPS_WITHIN_SECONDS)

    def read_end(self, model: Path) -> None:
        """What the job leaves: its checkpoints and its model."""
        budget = Budget(LIMIT_BYTES, LIMIT_SECONDS)
        for place, folder in (("model", model), ("checkpoints", self._checkpoints)):
            for state in read_folder(folder, budget):
                self._record(state, place, "end")

    def _read_on(self) -> None:
        while (path := self._waiting.get()) is not None and not self._stopped.is_set():
            unit = unit_of(path)
            state = self._read_undisturbed(unit)
            if state is not None and self._last.get(unit) != state.digest and self._tensors_left > 0:
                self._last[unit] = state.digest
                self._tensors_left -= 1 + len(state.tensors)
                self._record(state, "checkpoints", "written")

    def _read_undisturbed(self, path: str) -> State | None:
        """A state that nobody changed while it was read."""
        try:
            before = stamp_of(str(self._checkpoints / path))
            if before.bytes > WRITTEN_LIMIT_BYTES:
                return None
            state = read_state(self._checkpoints, path, Budget(WRITTEN_LIMIT_BYTES, WRITTEN_LIMIT_SECONDS))
            if stamp_of(str(self._checkpoints / path)) != before:
                return None
        except OSError:
            return None
        return None if state.unread else state

    def _record(self, state: State, place: str, when: str) -> None:
        self._emit(Kind.STATE, {"place": place, "when": when, **state.as_dict()})
