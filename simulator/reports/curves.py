"""The metrics' curves along the run's progress: the uninterrupted runs', each attempt's, and where training restarted.

Pure. Curves are thinned so that ten thousand readings draw as fast, and look the same, as the few hundred that fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulator.checks.progress import Axis, lines_of, placed, progress_of
from simulator.core.timeline import Event, Kind, Timeline

POINTS = 400  # of one curve
PANELS = 3  # metrics that are drawn; the others are counted
_FIRST = ("loss", "accuracy")

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One metric in one attempt (`baseline` False) or one uninterrupted run, as it was logged; of its `readings` those
    that a picture needs."""

    name: str
    baseline: bool
    number: int
    readings: int
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """One metric's curves."""

    metric: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Restart:
    """Where an attempt went on, and from where to where its work was done again."""

    attempt: int
    at: float
    reached: float | None


@dataclass(frozen=True)
class Curves:
    """What there is to draw. `unit` names the x axis; `left_out` are metrics that were not drawn; `readings` how many
    were logged; `not_numbers` how many of them were nan or infinite."""

    unit: str
    panels: Sequence[Panel] = ()
    restarts: Sequence[Restart] = ()
    left_out: Sequence[str] = ()
    readings: int = 0
    not_numbers: int = 0

    @property
    def redone(self) -> bool:
        """Whether any work was done twice."""
        return any(restart.reached is not None and restart.reached > restart.at for restart in self.restarts)


def curves(timeline: Timeline, baselines: Sequence[Timeline] = ()) -> Curves:
    """The curves of a run and of its uninterrupted runs; without panels where nothing but the progress was logged."""
    runs = {(False, number): events for number, events in _by_attempt(timeline).items()}
    axis = _axis({number: events for (_, number), events in runs.items()})
    for number, baseline in enumerate(baselines, 1):
        runs[True, number] = [event for events in _by_attempt(baseline).values() for event in events]
    names = list(dict.fromkeys(str(event.data["name"]) for events in runs.values() for event in events))
    own = {axis.name, axis.within} if axis else set()
    shown = sorted((name for name in names if name not in own and not _is_counter(name)), key=_rank)
    read = {key: _readings(axis, events) for key, events in runs.items()}
    panels = [
        Panel(
            name,
            [
                Curve(_title(baseline, number), baseline, number, len(points), thinned(points))
                for (baseline, number), of in sorted(read.items(), key=lambda item: (not item[0][0], item[0][1]))
                if (points := _finite(of.get(name, ())))
            ],
        )
        for name in shown[:PANELS]
    ]
    values = [float(event.data["value"]) for events in runs.values() for event in events]
    return Curves(
        unit=axis.label if axis else "seconds",
        panels=[panel for panel in panels if panel.curves],
        restarts=_restarts(axis, {number: of for (baseline, number), of in runs.items() if not baseline}),
        left_out=shown[PANELS:],
        readings=len(values),
        not_numbers=sum(not math.isfinite(value) for value in values),
    )


def thinned(points: Sequence[Point], most: int = POINTS) -> list[Point]:
    """At most so many points: of each slice the lowest and the highest, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    slices = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for index in range(slices):
        span = range(index * len(points) // slices, (index + 1) * len(points) // slices)
        kept.add(min(span, key=lambda place: points[place][1]))
        kept.add(max(span, key=lambda place: points[place][1]))
    return [points[place] for place in sorted(kept)]


def _by_attempt(timeline: Timeline) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in timeline.of(Kind.METRIC):
        found.setdefault(event.attempt, []).append(event)
    return found


def _axis(runs: Mapping[int, Sequence[Event]]) -> Axis | None:
    progress = progress_of({number: lines_of(events) for number, events in runs.items()})
    return progress.axis if progress else None


def _readings(axis: Axis | None, events: Sequence[Event]) -> dict[str, list[Point]]:
    """Each metric's readings, each at the progress that was last told; at its second where nothing tells progress."""
    found: dict[str, list[Point]] = {}
    lines = lines_of(events)
    where = placed(axis, lines) if axis else ((line, line.at, None) for line in lines)
    for line, value, _ in where:
        if value is not None:
            for name, reading in line.values.items():
                found.setdefault(name, []).append((value / axis.span if axis and axis.within else value, reading))
    return found


def _restarts(axis: Axis | None, runs: Mapping[int, Sequence[Event]]) -> list[Restart]:
    if axis is None:
        return []
    progress = progress_of({number: lines_of(events) for number, events in runs.items()})
    if progress is None:
        return []
    scale = axis.span if axis.within else 1.0
    found, reached = [], None
    for number, walk in sorted(progress.walks.items()):
        if reached is not None:
            found.append(Restart(number, walk.first.value / scale, reached / scale))
        reached = max(reached or walk.last.value, walk.last.value)
    return found


def _finite(points: Iterable[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]


def _is_counter(name: str) -> bool:
    return any(word in name.lower() for word in ("step", "epoch", "iteration", "batch"))


def _rank(name: str) -> int:
    return next((place for place, word in enumerate(_FIRST) if word in name.lower()), len(_FIRST))


def _title(baseline: bool, number: int) -> str:
    return f"uninterrupted run {number}" if baseline else f"attempt {number}"
