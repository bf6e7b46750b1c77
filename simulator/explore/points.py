"""The moments at which an interruption could come, read from a recorded uninterrupted run.

Promise: every point is named by what the script did (the step it logged, the number of the save), never by the clock,
and a script that does the same gives the same points. Uploads are no exception: how many there are hangs on how fast
the uploader was, so their points are numbered by the checkpoint files that the script finished, each of which goes up.
Where versions follow each other faster than they go up, the last of these numbers never come, and such a trial says so.

Limit: places in the run, for pictures, are read from the clock and differ between runs; they are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from simulator.checks.evidence import Evidence, JudgeOptions
from simulator.checks.progress import Progress, ProgressReading
from simulator.core.plan import Count, When
from simulator.core.timeline import Event, Kind, Timeline

T = TypeVar("T")
MOST_STEPS = 24  # progress values that are tried, evenly spread, besides the ends of epochs
MOST_EPOCHS = 48
MOST_LINES = 4  # different announcements of an evaluation
_NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Which of many saves are tried. Fixed, so that one write more or fewer that was noticed moves no other point."""
_DIGITS = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_EVALUATES = re.compile(r"(?i)\b(?:evaluat|validat|testing\b|eval\b|val_)")
_BEFORE_WORDS = re.compile(r"^[^A-Za-z]*")  # dates and the like
_LONGEST_LINE = 120  # characters of a log line that a `line=` repeats
_ANY_NUMBER = r"[-+.\deE]+"


class PointKind(StrEnum):
    """What happens at a point; in the order of simplicity, the simplest first."""

    START = "start"
    STEP = "step"
    EPOCH = "epoch"
    SAVED = "saved"  # a checkpoint file was written
    UPLOADED = "uploaded"
    SAVE = "save"  # one is being written
    UPLOAD = "upload"
    EVALUATION = "evaluation"
    RESTORED = "restored"
    DOWNLOAD = "download"


LATER_ONLY = frozenset({PointKind.RESTORED, PointKind.DOWNLOAD})
"""What needs an earlier interruption: the first attempt has nothing to restore."""


@dataclass(frozen=True)
class Point:
    """A moment: `when` is its WHEN (see `core.plan`), `at_share` its place in the recorded run, 0 to 1, and `label`
    what people are told."""

    when: str
    kind: PointKind
    at_share: float = field(compare=False)
    label: str


@dataclass(frozen=True)
class Points:
    """Every point of a script, the simplest kinds first and each kind in the order of the run. `left_out`: progress
    values that were logged and are no points, since they were too many."""

    all: tuple[Point, ...]
    left_out: int = 0

    @property
    def first(self) -> tuple[Point, ...]:
        """Where a first attempt can be interrupted."""
        return tuple(point for point in self.all if point.kind not in LATER_ONLY)

    def of(self, *kinds: PointKind) -> tuple[Point, ...]:
        """The points of these kinds."""
        return tuple(point for point in self.all if point.kind in kinds)

    def named(self, when: str) -> Point | None:
        """The point with this WHEN."""
        return next((point for point in self.all if point.when == when), None)


def points_of(timeline: Timeline, log: Iterable[str] = (), metric: str | None = None) -> Points:
    """The points of an uninterrupted run. `log`: its log's lines, for what no metric tells (an evaluation that is
    announced); `metric`: the progress metric, instead of the likeliest. A run without a process has none."""
    evidence = Evidence(timeline, JudgeOptions(metric=metric))
    attempt = next(iter(evidence.attempts), None)
    if attempt is None or evidence.began_at(attempt) is None:
        return Points(())
    place = _Place(evidence, attempt)
    steps, left_out = _progress_points(evidence, attempt, place)
    found = [
        Point(When.START.value, PointKind.START, 0.0, "the first moments of the script"),
        *steps,
        *_evaluations(evidence, attempt, place),
        *_announced(log, {line.text for line in evidence.lines.get(attempt, ()) if line.values}),
        *_counted(evidence, attempt, place),
    ]
    by_when: dict[str, Point] = {}
    for point in found:
        by_when.setdefault(point.when, point)
    kinds = list(PointKind)
    return Points(tuple(sorted(by_when.values(), key=lambda point: kinds.index(point.kind))), left_out)


class _Place:
    """Where in the recorded attempt an instant is, 0 to 1."""

    def __init__(self, evidence: Evidence, attempt: int) -> None:
        self._began = evidence.began_at(attempt) or 0.0
        exited = evidence.exited(attempt)
        ended = exited.at if exited is not None else max(event.at for event in evidence.timeline)
        self._lasted = max(ended - self._began, 1e-9)

    def __call__(self, at: float) -> float:
        return round(min(1.0, max(0.0, (at - self._began) / self._lasted)), 4)


def _progress_points(evidence: Evidence, attempt: int, place: _Place) -> tuple[list[Point], int]:
    progress = evidence.progress
    walk = evidence.walk(attempt)
    if progress is None or walk is None:
        return [], 0
    readings = list({reading.value: reading for reading in reversed(walk.readings)}.values())[::-1]
    axis = progress.axis
    whole = PointKind.EPOCH if "epoch" in axis.name.lower() and axis.within is None else PointKind.STEP
    most = MOST_EPOCHS if whole is PointKind.EPOCH else MOST_STEPS
    chosen = _spread(readings, most)
    points = []
    for reading in chosen:
        when = _when_of(progress, reading)
        if when is not None:
            points.append(Point(when, whole, place(reading.at), axis.describe(reading.value)))
    points += _epochs(evidence, attempt, place, axis.name if axis.within else "epoch", whole)
    return points, len(readings) - len(chosen)


def _when_of(progress: Progress, reading: ProgressReading) -> str | None:
    """The WHEN of a reading. Steps that begin again in each epoch are told by their log line, its other numbers left
    open, since no single metric tells them; None where the line does not tell both."""
    axis = progress.axis
    if axis.within is None:
        return f"{axis.name}={_number(reading.value)}"
    told = {reading.value // axis.span, reading.value % axis.span}
    numbers = list(_DIGITS.finditer(reading.text[:_LONGEST_LINE]))
    kept = [match for match in numbers if float(match.group()) in told]
    if not told <= {float(match.group()) for match in kept}:
        return None
    expression, end = "", 0
    for match in numbers:
        if match.start() > kept[-1].start():
            break
        own = _literally(match.group()) if match in kept else _ANY_NUMBER
        expression += _literally(reading.text[end : match.start()]) + own
        end = match.end()
    return rf"line={expression}(?!\d)"


def _epochs(evidence: Evidence, attempt: int, place: _Place, name: str, whole: PointKind) -> Iterator[Point]:
    """The first log line of each epoch, where steps are counted besides."""
    if whole is PointKind.EPOCH:
        return
    first: dict[float, Event] = {}
    for event in evidence.of(Kind.METRIC, attempt):
        if event.data["name"] == name and float(event.data["value"]) > max(first, default=float("-inf")):
            first[float(event.data["value"])] = event
    for value, event in _spread(list(first.items()), MOST_EPOCHS):
        yield Point(f"{name}={_number(value)}", PointKind.EPOCH, place(event.at), f"{name} {value:g}")


def _evaluations(evidence: Evidence, attempt: int, place: _Place) -> Iterator[Point]:
    """The first log of each number that is told on lines of its own, beside the progress: an evaluation's result."""
    progress = evidence.progress
    if progress is None:
        return
    axis = {progress.axis.name, progress.axis.within, "epoch"}
    lines = evidence.lines.get(attempt, ())
    training = {name for line in lines if axis & line.values.keys() for name in line.values}
    for name in dict.fromkeys(name for line in lines for name in line.values if name not in training):
        values = [line.values[name] for line in lines if name in line.values]
        if all(value == value for value in values):
            yield Point(
                f"{name}={_number(min(values))}",  # reached by the first log of an attempt, whichever comes then
                PointKind.EVALUATION,
                place(next(line.at for line in lines if name in line.values)),
                f"{name} is logged",
            )


def _announced(log: Iterable[str], told: Set[str]) -> Iterator[Point]:
    """The lines that speak of an evaluation and tell no metric, their numbers left open, so that each kind of line is
    one point."""
    lines = [line.rstrip("\r\n") for line in log]
    seen: dict[str, float] = {}
    for number, line in enumerate(lines):
        if line not in told and _EVALUATES.search(line):
            text = _BEFORE_WORDS.sub("", line).strip()[:_LONGEST_LINE]
            seen.setdefault(_ANY_NUMBER.join(map(_literally, _DIGITS.split(text))), number / len(lines))
    for expression, share in list(seen.items())[:MOST_LINES]:
        yield Point(f"line={expression}", PointKind.EVALUATION, round(share, 4), "an evaluation is announced")


def _counted(evidence: Evidence, attempt: int, place: _Place) -> Iterator[Point]:
    """Saves and transfers, and the restores that they make possible."""
    events = [event for event in evidence.timeline if event.attempt == attempt]
    happened = {when: _those_that_count(when, events) for when in (When.SAVE, When.CHECKPOINT)}
    written = happened[When.CHECKPOINT]
    happened |= dict.fromkeys((When.UPLOAD, When.UPLOADED), written)
    for when, (kind, label) in _COUNTED.items():
        for number in _NUMBERS:
            if number <= len(happened[when]):
                yield Point(f"{when}={number}", kind, place(happened[when][number - 1].at), label.format(number))
    if written:
        yield Point(When.RESTORED.value, PointKind.RESTORED, 0.0, "all is restored and the script has not started")
        yield Point(When.DOWNLOAD.value, PointKind.DOWNLOAD, 0.0, "checkpoints are being restored")


_COUNTED = {
    When.SAVE: (PointKind.SAVE, "checkpoint file {} is being written"),
    When.CHECKPOINT: (PointKind.SAVED, "checkpoint file {} is written"),
    When.UPLOAD: (PointKind.UPLOAD, "checkpoint file {} is on its way to S3"),
    When.UPLOADED: (PointKind.UPLOADED, "checkpoint file {} is in S3"),
}


def _those_that_count(when: When, events: Sequence[Event]) -> list[Event]:
    count = Count(when)
    return [event for event in events if count.observe(event)]


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _literally(text: str) -> str:
    """An expression that matches the text, and can be read."""
    return re.escape(text).replace(r"\ ", " ").replace(r"\-", "-")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
