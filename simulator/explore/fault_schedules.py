"""Which interruptions faults are tried under: few, in the middle of what a script does, so that faults come before,
during and after them."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.explore.points import Point, PointKind, Points
from simulator.explore.schedules import sharpness
from simulator.explore.trial import Schedule

_MIDDLE, _EARLY = 0.5, 0.2
_SINGLES = (PointKind.UPLOADED, PointKind.SAVED, PointKind.UPLOAD, PointKind.STEP, PointKind.EPOCH)
_PAIRS = ((PointKind.UPLOADED, PointKind.UPLOADED), (PointKind.UPLOADED, PointKind.DOWNLOAD))


def fault_schedules(points: Points, profiles: Sequence[str]) -> list[Schedule]:
    """A handful, the same for the same points and profiles. None where the script has no points or `profiles` is
    empty."""
    if not profiles:
        return []
    ordered = sorted(profiles, key=sharpness)
    sharpest, gentlest = ordered[0], ordered[-1]
    found = [Schedule((point.when,), sharpest) for kind in _SINGLES for point in _at(points, kind, _MIDDLE)]
    found += [
        Schedule((first.when, second.when), sharpest)
        for one, other in _PAIRS
        for first in _at(points, one, _MIDDLE)
        for second in _at(points, other, _MIDDLE)
    ]
    # told early: the notice and the grace pass too, and then there must be training left
    found += [Schedule((point.when,), gentlest) for point in _at(points, PointKind.STEP, _EARLY)]
    return list(dict.fromkeys(found)) or [Schedule((point.when,), sharpest) for point in points.first[:1]]


def _at(points: Points, kind: PointKind, share: float) -> list[Point]:
    of_kind = points.of(kind)
    return [of_kind[int(share * (len(of_kind) - 1))]] if of_kind else []
