"""The recorded run as a strip from 0 to 1: where on it an interruption comes, and what the script did there. Pure.

A later interruption of a schedule is put where it would have come in a run that went on without loss from where the one
before it came: its counts (saves, uploads, seconds) begin anew there, as they do in a new attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from simulator.core.errors import UsageError
from simulator.core.plan import TriggerWatch, parse_when
from simulator.core.timeline import Event, Kind, Timeline

MARKS_OF_A_KIND = 400  # more of one kind cannot be told apart on a page; they are thinned evenly


class Deed(StrEnum):
    """What the script or the sync did, as the strip marks it."""

    SAVE = "save"
    UPLOAD = "upload"
    EPOCH = "epoch"


@dataclass(frozen=True)
class Landmark:
    """Something that was done; `at` is its place on the strip, 0 to 1."""

    deed: Deed
    at: float


class Strip:
    """The first attempt of a recorded run, from the start of its process (0) to its end (1)."""

    def __init__(self, timeline: Timeline) -> None:
        self._events = [event for event in timeline if event.attempt == 1]
        started = _first(self._events, Kind.PROCESS_STARTED) or _first(self._events, Kind.ATTEMPT_STARTED)
        ended = _first(self._events, Kind.PROCESS_EXITED)
        self.start = started.at if started else 0.0
        self.end = ended.at if ended else max((event.at for event in self._events), default=self.start)
        self._known: dict[tuple[str, float | None], float | None] = {}

    @property
    def seconds(self) -> float:
        """How long the recorded run trained."""
        return max(0.0, self.end - self.start)

    def places(self, interruptions: Sequence[str]) -> tuple[float | None, ...]:
        """Where each interruption of a schedule comes, 0 to 1; None for one that the recorded run says nothing of,
        and for those after it."""
        found: list[float | None] = []
        at: float | None = None
        for text in interruptions:
            at = None if found and at is None else self._hit(text, at)
            found.append(None if at is None else self.place_at(at))
        return tuple(found)

    def landmarks(self) -> tuple[Landmark, ...]:
        """Saves that ended, uploads that ended and epochs' ends, in order of time."""
        marks = [
            *_thinned([Landmark(Deed.SAVE, self.place_at(event.at)) for event in self._of(Kind.FILE_SETTLED)]),
            *_thinned([Landmark(Deed.UPLOAD, self.place_at(event.at)) for event in self._of(Kind.UPLOAD_FINISHED)]),
            *_thinned([Landmark(Deed.EPOCH, self.place_at(at)) for at in self._epoch_ends()]),
        ]
        return tuple(sorted(marks, key=lambda mark: mark.at))

    def _hit(self, text: str, since: float | None) -> float | None:
        """When (run seconds) a trigger comes in an attempt that begins at `since`; None: in the first attempt."""
        if (text, since) not in self._known:
            self._known[text, since] = self._search(text, since)
        return self._known[text, since]

    def _search(self, text: str, since: float | None) -> float | None:
        try:
            watch = TriggerWatch(parse_when(text))
        except UsageError:
            return None
        events = self._events
        if since is not None:
            events = [*_beginning(since), *(event for event in self._events if event.at > since)]
        for event in events:
            came = watch.observe(event) or (event.kind is Kind.METRIC and watch.observe_line(str(event.data["line"])))
            if came or watch.deadline is not None:
                at = event.at if came else float(watch.deadline or 0.0)
                return at if at <= self.end else None
        return None

    def place_at(self, at: float) -> float:
        whole = self.seconds or 1.0
        return round(min(1.0, max(0.0, (at - self.start) / whole)), 5)

    def _of(self, kind: Kind) -> list[Event]:
        return [event for event in self._events if event.kind is kind]

    def _epoch_ends(self) -> list[float]:
        """Where the epoch that is logged changes: that is where the one before it ended."""
        ends: list[float] = []
        last: float | None = None
        for event in self._of(Kind.METRIC):
            if event.data["name"] == "epoch" and event.data["value"] != last:
                ends += [event.at] if last is not None else []
                last = float(event.data["value"])
        return ends


def _beginning(at: float) -> list[Event]:
    """What a later attempt begins with, which the recorded one did not do here: it was given its checkpoints back."""
    facts = {"objects": 1, "bytes": 0, "seconds": 0.0}
    return [
        Event(at, Kind.RESTORE_STARTED, 1, facts),
        Event(at, Kind.RESTORE_FINISHED, 1, facts),
        Event(at, Kind.PROCESS_STARTED, 1, {}),
    ]


def _first(events: Iterable[Event], kind: Kind) -> Event | None:
    return next((event for event in events if event.kind is kind), None)


def _thinned(marks: Sequence[Landmark]) -> Sequence[Landmark]:
    every = -(-len(marks) // MARKS_OF_A_KIND) or 1
    return marks[::every]
