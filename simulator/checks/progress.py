"""How far training had come, read from log lines of an unknown style: which metric tells it, and what is only a banner.

Promise: a banner ("steps: 1000", "step=0" while compiling, "restored at step=100" before starting over), steps that
begin again in every epoch, and logging every N steps or seconds do not mislead. Limit: a script that logs nothing that
grows has no axis, and then nothing about resuming can be proven.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from statistics import median
from types import MappingProxyType

from simulator.core.timeline import Event

_SAME_LINE_SECONDS = 0.05  # the numbers of one line are recorded one right after the other
_OF_TOTAL = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*(?:/|of)\s*(\d+)(?![\d.])")  # "3/8", "3 of 8"
_ANNOUNCES_RESUMING = re.compile(r"(?i)\b(?:resum|restor|continu)(?:e|ed|es|ing)\b")
_MOST_BANNERS = 3  # leading readings that may be taken for banners


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """The numbers that one log line gave."""

    at: float
    text: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ProgressReading:
    """How far training said it was, at an instant; `epoch` where the log tells it besides."""

    at: float
    value: float
    epoch: float | None
    text: str


@dataclass(frozen=True)
class Axis:
    """The metric that tells progress. With `within`, that metric begins again in each `name`, and both make the value:
    `name` × `span` + `within`."""

    name: str
    within: str | None = None
    span: float = 1.0

    @property
    def label(self) -> str:
        """How messages call the unit."""
        return self.name

    def describe(self, value: float) -> str:
        """A value for people: `step 120`, or `epoch 3, step 20`."""
        if self.within is None:
            return f"{self.name} {value:g}"
        return f"{self.name} {value // self.span:g}, {self.within} {value % self.span:g}"


@dataclass(frozen=True)
class Walk:
    """One attempt's progress: readings that never go back, banners left out, in order of time."""

    readings: Sequence[ProgressReading]
    _times: list[float] = field(default_factory=list, repr=False)

    @property
    def first(self) -> ProgressReading:
        """The first reading that belongs to the training itself."""
        return self.readings[0]

    @property
    def last(self) -> ProgressReading:
        """The last reading."""
        return self.readings[-1]

    def at(self, instant: float) -> ProgressReading | None:
        """The newest reading at an instant, None before the first."""
        index = bisect_right(self._times, instant)
        return self.readings[index - 1] if index else None

    def second_value(self) -> float | None:
        """The second distinct value, None when there is only one."""
        first = self.readings[0].value
        return next((reading.value for reading in self.readings if reading.value != first), None)


@dataclass(frozen=True)
class Progress:
    """Every attempt's walk along one axis, and how regular its logging is.

    `stride`: the usual distance of two readings.  `regular`: nearly all distances are equal, so that a start from
    scratch must log exactly what the first start logged.
    """

    axis: Axis
    walks: Mapping[int, Walk]
    stride: float
    regular: bool

    @property
    def noise(self) -> float:
        """How far two starts from the same state may differ in their first reading."""
        return 0.0 if self.regular else self.stride


def lines_of(events: Iterable[Event]) -> list[LoggedLine]:
    """METRIC events gathered by the log line that gave them."""
    lines: list[LoggedLine] = []
    at, text, values = 0.0, "", dict[str, float]()
    for event in events:
        name, value, line = str(event.data["name"]), float(event.data["value"]), str(event.data.get("line", ""))
        if values and (line != text or name in values or event.at - at > _SAME_LINE_SECONDS):
            lines.append(LoggedLine(at, text, values))
            values = {}
        if not values:
            at, text = event.at, line
        values[name] = value
    if values:
        lines.append(LoggedLine(at, text, values))
    return lines


def counted_on(attempts: Mapping[int, Sequence[LoggedLine]]) -> dict[int, Sequence[LoggedLine]]:
    """The lines with the numbers of an attempt that counts only what is left ("epoch 1/5", where the first attempt had
    counted to 8) counted on from where it began: 4, so that all attempts count alike."""
    done: dict[int, Sequence[LoggedLine]] = dict(attempts)
    if not attempts:
        return done
    first = min(attempts)
    for name in {name for line in attempts[first] for name in line.values}:
        whole = _total_told(name, attempts[first])
        for attempt, lines in attempts.items():
            left = _total_told(name, lines) if attempt != first and whole is not None else None
            if whole is None or left is None or left >= whole:
                continue
            reached = max(line.values[name] for a in attempts if a < attempt for line in done[a] if name in line.values)
            begins = next(line.values[name] for line in lines if name in line.values)
            if begins <= 1 and whole - left <= reached + 1:
                done[attempt] = [
                    replace(line, values={**line.values, name: line.values[name] + whole - left})
                    if name in line.values
                    else line
                    for line in done[attempt]
                ]
    return done


def _total_told(name: str, lines: Sequence[LoggedLine]) -> float | None:
    """The one total that stands behind a metric's values, as in "3/8" or "3 of 8"; None where lines have none, or
    different ones."""
    total = None
    for line in lines:
        if name not in line.values:
            continue
        told = next((float(of) for at, of in _OF_TOTAL.findall(line.text) if float(at) == line.values[name]), None)
        if told is None or total not in (None, told):
            return None
        total = told
    return total


def progress_of(
    attempts: Mapping[int, Sequence[LoggedLine]],
    wanted: str | None = None,
    began: Mapping[int, float] = MappingProxyType({}),
) -> Progress | None:
    """The progress that the attempts logged, along the metric `wanted` or the likeliest; None when nothing tells it.
    `began`: when each attempt's process started, where known."""
    axis = Axis(wanted) if wanted else _likeliest_axis(attempts)
    if axis is None:
        return None
    told = {attempt: readings_along(axis, lines) for attempt, lines in attempts.items()}
    risen = {attempt: _rising(readings) for attempt, readings in told.items()}
    # What is out of order in one attempt is a banner in the others too, where it may be all that there is to read.
    disordered = [attempt for attempt in told if len(told[attempt]) > len(risen[attempt])]
    banners = {reading.text for attempt in disordered for reading in set(told[attempt]) - set(risen[attempt])} - {""}
    risen = {attempt: [r for r in readings if r.text not in banners] for attempt, readings in risen.items()}
    risen = {attempt: readings for attempt, readings in risen.items() if readings}
    if not risen:
        return None
    stride, regular = _stride_of(risen.values())
    risen = _without_history(risen, began)
    leap = stride * (1.5 if regular else 3.0)
    usual_steps = {(a.value, b.value) for a, b in pairwise(risen[min(risen)])}
    walks = {}
    for attempt, readings in risen.items():
        trimmed = _without_banners(readings, leap, usual_steps)
        walks[attempt] = Walk(trimmed, [reading.at for reading in trimmed])
    return Progress(axis, walks, stride, regular)


def readings_along(axis: Axis, lines: Iterable[LoggedLine]) -> list[ProgressReading]:
    """The axis' readings on the lines, most banners included."""
    readings = [
        ProgressReading(line.at, value, epoch, line.text)
        for line, value, epoch in placed(axis, lines)
        if value is not None and _tells(axis, line)
    ]
    # "resumed from step=206" tells where training will go on, not a step that was trained.
    return [reading for reading in readings if not _ANNOUNCES_RESUMING.search(reading.text)] or readings


def placed(axis: Axis, lines: Iterable[LoggedLine]) -> Iterable[tuple[LoggedLine, float | None, float | None]]:
    """Each line with the progress and epoch at which it was logged (its own, or the last one told before it)."""
    value: float | None = None
    epoch: float | None = None
    for line in lines:
        before, epoch = epoch, line.values.get("epoch" if axis.within is None else axis.name, epoch)
        if axis.within is None:
            value = line.values.get(axis.name, value)
        elif axis.within in line.values and epoch is not None:
            value = epoch * axis.span + line.values[axis.within]
        elif epoch is not None and epoch != before:
            value = epoch * axis.span
        yield line, value, epoch


def _tells(axis: Axis, line: LoggedLine) -> bool:
    return (axis.within or axis.name) in line.values or (axis.within is not None and axis.name in line.values)


def _likeliest_axis(attempts: Mapping[int, Sequence[LoggedLine]]) -> Axis | None:
    names = list(dict.fromkeys(name for lines in attempts.values() for line in lines for name in line.values))
    for name in sorted(names, key=_unlikeliness):
        epoch = next((other for other in names if other != name and "epoch" in other.lower()), None)
        if _unlikeliness(name) < 2 and epoch is not None and _begins_again(name, epoch, attempts):
            highest = max(line.values[name] for lines in attempts.values() for line in lines if name in line.values)
            return Axis(epoch, within=name, span=highest + 1)
        if _grows(name, attempts):
            return Axis(name)
    return None


def _unlikeliness(name: str) -> int:
    lowered = name.lower()
    if lowered == "step":
        return 0
    if any(word in lowered for word in ("step", "iter", "batch", "round")):
        return 1
    return 2 if "epoch" in lowered else 3


def _begins_again(step: str, epoch: str, attempts: Mapping[int, Sequence[LoggedLine]]) -> bool:
    """Whether the step falls back at most of the moments at which the epoch goes up."""
    rises = falls = 0
    for lines in attempts.values():
        now: float | None = None
        seen: float | None = None
        rising = False
        for line in lines:
            if epoch in line.values:
                rising = rising or (now is not None and line.values[epoch] > now)
                now = line.values[epoch]
            if step in line.values:
                if rising and seen is not None:
                    rises += 1
                    falls += line.values[step] < seen
                rising, seen = False, line.values[step]
    return rises > 0 and falls * 2 >= rises


def _grows(name: str, attempts: Mapping[int, Sequence[LoggedLine]]) -> bool:
    total = outliers = 0
    distinct: set[float] = set()  # of the rises alone: a banner beside "step=0" that never changes is no growth
    for lines in attempts.values():
        values = [line.values[name] for line in lines if name in line.values]
        rise = _longest_rise(values)
        total += len(values)
        outliers += len(values) - len(rise)
        distinct.update(values[index] for index in rise)
    if len(distinct) < 2 or outliers > max(2.0, 0.3 * total):
        return False
    if _unlikeliness(name) < 3:
        return True
    # A metric that nobody named a step: only counters count, since an accuracy may well grow all the way.
    return outliers == 0 and all(value >= 0 and value == int(value) for value in distinct)


def _rising(readings: Sequence[ProgressReading]) -> list[ProgressReading]:
    return [readings[index] for index in _longest_rise([reading.value for reading in readings])]


def _longest_rise(values: Sequence[float]) -> list[int]:
    """Indices of a longest run that never falls, in O(n log n); numbers that are not (nan) are left out."""
    tails: list[float] = []
    ends: list[int] = []
    before: list[int] = [-1] * len(values)
    for index, value in enumerate(values):
        if value != value:
            continue
        length = bisect_right(tails, value)
        before[index] = ends[length - 1] if length else -1
        if length == len(tails):
            tails.append(value)
            ends.append(index)
        else:
            tails[length], ends[length] = value, index
    chain = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(index)
        index = before[index]
    return chain[::-1]


def _stride_of(walks: Iterable[Sequence[ProgressReading]]) -> tuple[float, bool]:
    gaps: list[float] = []
    for readings in walks:
        own = [after.value - before.value for before, after in pairwise(readings) if after.value > before.value]
        gaps += own[1:-1] if len(own) > 3 else own  # the first and last may lead to a banner
    if not gaps:
        return 1.0, False
    gaps.sort()
    usual = median(gaps)
    return gaps[int(0.9 * (len(gaps) - 1))], sum(gap == usual for gap in gaps) >= 0.9 * len(gaps)


def _without_history(
    risen: Mapping[int, list[ProgressReading]], began: Mapping[int, float]
) -> dict[int, list[ProgressReading]]:
    """Leave out what a later attempt only tells again: lines of an earlier attempt, word for word, all at once, more
    than could have been trained since its process started. (Lines that are read late come all at once too.)"""
    first = min(risen)
    pace = [after.at - before.at for before, after in pairwise(risen[first])]
    usual = median(pace) if pace else 0.0
    told: set[str] = set()
    kept = {}
    for attempt in sorted(risen):
        readings = risen[attempt]
        burst = 1
        while burst < len(readings) and readings[burst].at - readings[burst - 1].at < 0.1 * usual:
            burst += 1
        lived = readings[burst - 1].at - began.get(attempt, -inf)
        again = 1 < burst < len(readings) and all(reading.text in told for reading in readings[:burst])
        kept[attempt] = readings[burst:] if again and lived < 0.8 * burst * usual else readings
        told.update(reading.text for reading in readings if reading.text)
    return kept


def _without_banners(
    readings: Sequence[ProgressReading], leap: float, usual_steps: set[tuple[float, float]]
) -> Sequence[ProgressReading]:
    """Leave out what is followed, or preceded, by a leap; but no leap that the first attempt made too, since then it
    is how this script logs, and leaving it out would make a start from scratch look like a resumed one."""
    start, stop = 0, len(readings)
    for index, (before, after) in enumerate(pairwise(readings[: _MOST_BANNERS + 1])):
        if after.value - before.value > leap and (before.value, after.value) not in usual_steps:
            start = index + 1
    if stop - start > 2 and readings[-1].value - readings[-2].value > leap:
        stop -= 1
    return readings[start:stop]
